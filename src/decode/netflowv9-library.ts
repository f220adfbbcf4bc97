/**
 * node-netflowv9 behind walls: it parses v9 templates and options data, and sees nothing else.
 *
 * It is given datagrams of our making that hold one template, or options data of one template, after our bounds check.
 * It must never be given bytes as they came: it loops for ever on a set of length 0 and on templates of length 0, and
 * throws on anything that is cut. Its tables are lent per call: what it adds to them goes away with the call, so they
 * neither grow with what the network sends nor are shared between exporters.
 */

import nf9PktDecode, {
  type FieldType,
  type FieldTypes,
  type LibraryTemplate,
  type TemplateTable,
} from 'node-netflowv9/js/nf9/nf9decode.js';
import tables from 'node-netflowv9/js/nf9/nftypes.js';
import type { TemplateField } from './template-field.ts';

export type { LibraryTemplate };

const HEADER_BYTES = 20;
/** The exporter as the library knows it; our own key decides whose templates these are. */
const EXPORTER = { address: '', port: 0 };

function call(message: Buffer, templates: TemplateTable) {
  const types: FieldTypes = Object.create(tables.nfTypes);
  const scopes: FieldTypes = Object.create(tables.nfScope);
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

/** Parses one template record that `readTemplateRecord` has passed, its bytes from the id to the last field. */
export function parseTemplate(definition: Buffer, options: boolean): LibraryTemplate | null {
  const templates: TemplateTable = Object.create(null);
  call(datagram(options ? 1 : 0, definition), templates);
  return templates[definition.readUInt16BE(0)] ?? null;
}

/** The field list of a parsed data template. v9 has no enterprise numbers. */
export function fieldsOf(template: LibraryTemplate): readonly TemplateField[] {
  return (template.list ?? []).map(({ type, len }) => ({ id: type, pen: 0, length: len }));
}

/** The records of options data (whole records only, at least one). Values are numbers and text. */
export function readOptionsData(
  id: number,
  template: LibraryTemplate,
  records: Buffer,
): readonly Readonly<Record<string, string | number>>[] {
  const templates: TemplateTable = Object.create(null);
  templates[id] = template;
  return call(datagram(id, records), templates).flows.map(plain);
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
