/**
 * node-netflowv9 behind walls: it parses v9 templates and options data, and sees nothing else.
 *
 * It is given datagrams of our making that hold one template, or options data of one template, after our bounds check.
 * It must never be given bytes as they came: it loops for ever on a set of length 0 and on templates of length 0, and
 * throws on anything that is cut. Its tables are lent per call: what it adds to them goes away with the call, so they
 * neither grow with what the network sends nor are shared between exporters. It compiles code for each template it
 * parses, which an attacker must not be able to make us pay for: see `NO_TYPES`.
 */

import nf9PktDecode, {
  type FieldType,
  type FieldTypes,
  type LibraryTemplate,
  type TemplateTable,
} from 'node-netflowv9/js/nf9/nf9decode.js';
import tables from 'node-netflowv9/js/nf9/nftypes.js';
import type { TemplateField } from './template-field.ts';

const HEADER_BYTES = 20;
/** The exporter as the library knows it; our own key decides whose templates these are. */
const EXPORTER = { address: '', port: 0 };

/** Templates are parsed under this id: it stands in the code that the library makes, which V8 knows again by its text. */
const PARSED_ID = 256;

/**
 * A table that knows every type and has no rule for any, so that the code compiled with it is empty and the same for
 * all templates of one length. Measured: 22 to 37 us a new template with the real tables, of which a datagram holds
 * 170, against 5 to 10 us with this one. Records of data templates are read by our own readers, and options templates are
 * parsed again with the real tables when there is data of them that somebody wants.
 */
const NO_TYPES: FieldTypes = new Proxy<FieldTypes>({}, { get: () => ({ name: '' }) });

function call(message: Buffer, templates: TemplateTable, types: FieldTypes, scopes: FieldTypes) {
  return nf9PktDecode.call(
    { nfTypes: types, nfScope: scopes, nfInfoTemplates: () => templates },
    message,
    EXPORTER,
  );
}

/** A v9 datagram with one set: header fields other than the version do not matter to the library. */
function datagram(setId: number, body: Buffer): Buffer {
  const message = Buffer.alloc(HEADER_BYTES + 4 + body.length);
  message.writeUInt16BE(9, 0);
  message.writeUInt16BE(1, 2);
  message.writeUInt16BE(setId, HEADER_BYTES);
  message.writeUInt16BE(4 + body.length, HEADER_BYTES + 2);
  body.copy(message, HEADER_BYTES + 4);
  return message;
}

function parse(definition: Buffer, options: boolean, types: FieldTypes, scopes: FieldTypes) {
  const message = datagram(options ? 1 : 0, definition);
  message.writeUInt16BE(PARSED_ID, HEADER_BYTES + 4);
  const templates: TemplateTable = Object.create(null);
  call(message, templates, types, scopes);
  return templates[PARSED_ID] ?? null;
}

/**
 * Parses a data template record that `readTemplateRecord` has passed, its bytes from the id to the last field. v9 has
 * no enterprise numbers.
 */
export function parseTemplate(definition: Buffer): readonly TemplateField[] | null {
  const template = parse(definition, false, NO_TYPES, NO_TYPES);
  return template?.list?.map(({ type, len }) => ({ id: type, pen: 0, length: len })) ?? null;
}

/** Reads the records of options data (whole records only, at least one). Values are numbers and text. */
export type OptionsReader = (records: Buffer) => readonly Readonly<Record<string, string | number>>[];

/** What reads the data of an options template record that `readTemplateRecord` has passed; compiled at the first data. */
export function optionsReader(definition: Buffer): OptionsReader | null {
  if (parse(definition, true, NO_TYPES, NO_TYPES) === null) return null;
  let compiled: LibraryTemplate | null = null;
  return (records) => {
    compiled ??= parse(definition, true, Object.create(tables.nfTypes), Object.create(tables.nfScope));
    if (compiled === null) return [];
    const templates: TemplateTable = Object.create(null);
    templates[PARSED_ID] = compiled;
    return call(datagram(PARSED_ID, records), templates, tables.nfTypes, tables.nfScope).flows.map(plain);
  };
}

function plain(flow: Readonly<Record<string, unknown>>): Record<string, string | number> {
  const out: Record<string, string | number> = {};
  for (const [name, value] of Object.entries(flow)) {
    if (name !== 'fsId' && (typeof value === 'number' || typeof value === 'string')) out[name] = value;
  }
  return out;
}

/** What the library's table says of an element: its name, and how its value is to be read. */
export interface ElementType {
  readonly name: string;
  readonly kind: 'number' | 'ipv4' | 'ipv6' | 'text' | 'bytes';
}

const KINDS = new Map([
  [ruleOf(1), 'number'],
  [ruleOf(8), 'ipv4'],
  [ruleOf(27), 'ipv6'],
  [ruleOf(82), 'text'],
] as const);

function ruleOf(id: number): FieldType['compileRule'] {
  return tables.nfTypes[id]?.compileRule;
}

/** The library's word on an IANA element, undefined where it has none. */
export function elementType(id: number): ElementType | undefined {
  const type = tables.nfTypes[id];
  return type && { name: type.name, kind: KINDS.get(type.compileRule) ?? 'bytes' };
}
