/**
 * One template of one observation domain, made from its bytes.
 *
 * The bytes of the definition are what identifies a layout, what a snapshot keeps and what a refresh is compared
 * with. Field lists of v9 data templates are those that node-netflowv9 parsed; IPFIX ones are ours. The reader is
 * compiled when the first data comes, so that a flood of templates costs little.
 */

import { type OptionsReader, optionsReader, parseTemplate } from './netflowv9-library.ts';
import { compileReader, type ReaderOptions, type RecordReader } from './record-reader.ts';
import { SAMPLING_ELEMENTS } from './sampling.ts';
import { IE, type TemplateField, VARIABLE_LENGTH } from './template-field.ts';
import type { TemplateForm, TemplateRecord } from './template-wire.ts';

/** Why records of a template are not read, or not all: see template-doubt.ts. Times in ms by our clock. */
export interface TemplateDoubt {
  /** The layout changed while it was in doubt already: records under this id are nobody's. */
  readonly isContested: boolean;
  /** When the layout of before is overdue. */
  readonly overdueMs: number;
  /** For how long the numbers have to go on without a gap. */
  readonly runMs: number;
  /** Datagrams of the process, and the time, when this layout came. */
  datagrams: number;
  sinceMs: number;
  /** The numbers went on for long enough. */
  isOnTrial: boolean;
}

export interface Template {
  readonly id: number;
  readonly form: TemplateForm;
  /** From the id to the last field, as received. */
  readonly definition: Buffer;
  readonly fields: readonly TemplateField[];
  /** Shortest record: exact when no field has variable length. */
  readonly minLength: number;
  /** v9 options only: the library's reader of the data. */
  readonly readOptions: OptionsReader | null;
  /** How many of the fields, from the first, are scope; 0 for data templates. */
  readonly scopeFields: number;
  /** True when options data may tell a sampling rate or the time the exporter started. */
  readonly informative: boolean;
  /** Receive time of the datagram that brought it last, and the longest time between two of them; 0 when it came once. */
  seenMs: number;
  gapMs: number;
  /** Which of all datagrams brought it last, by the decoder's count; 0 if it is of an earlier run. */
  datagram: number;
  /** Set while it is not known whether the exporter that sends the data means this layout. */
  doubt: TemplateDoubt | null;
  /** Null until the first data, and for options. */
  reader: SharedReader | null;
}

export function isOptions(form: TemplateForm): boolean {
  return form === 'v9-options' || form === 'ipfix-options';
}

export function isSameLayout(template: Template, form: TemplateForm, definition: Buffer): boolean {
  return template.form === form && template.definition.equals(definition);
}

/** Makes a template of a record that passed `readTemplateRecord`; null when it cannot be used. */
export function createTemplate(
  record: Extract<TemplateRecord, { kind: 'template' }>,
  form: TemplateForm,
  definition: Buffer,
  seenMs: number,
): Template | null {
  const kept = Buffer.from(definition);
  const readOptions = form === 'v9-options' ? optionsReader(kept) : null;
  const fields = form === 'v9' ? parseTemplate(kept) : record.fields;
  if (fields === null) return null;
  if (form === 'v9-options') {
    if (readOptions === null) return null;
    // The library reads options records of fixed length only.
    if (fields.some((field) => field.length === VARIABLE_LENGTH)) return null;
  }
  return {
    id: record.id,
    form,
    definition: kept,
    fields,
    minLength: fields.reduce((sum, { length }) => sum + (length === VARIABLE_LENGTH ? 1 : length), 0),
    readOptions,
    scopeFields: record.scopeFields,
    informative: fields.some(
      ({ pen, id }) => pen === 0 && (SAMPLING_ELEMENTS.includes(id) || id === IE.systemInitTimeMilliseconds),
    ),
    seenMs,
    gapMs: 0,
    datagram: 0,
    doubt: null,
    reader: null,
  };
}

/** A reader that may be let go; whoever still needs it then asks the cache again. */
export interface SharedReader {
  current: RecordReader | null;
}

/**
 * Readers by field list, shared by all exporters: a thousand routers of one make send one layout. Bounded because
 * layouts come from the network and each is code: the oldest is let go, for all templates that have it.
 */
export class ReaderCache {
  readonly #readers = new Map<string, SharedReader>();
  readonly #capacity: number;
  readonly #options: ReaderOptions;

  constructor(capacity: number, options: ReaderOptions) {
    this.#capacity = capacity;
    this.#options = options;
  }

  /** The reader of a data template; null when its records take no room. */
  readerOf(template: Template): RecordReader | null {
    if (template.reader !== null && template.reader.current !== null) return template.reader.current;
    const key = template.fields.map(({ pen, id, length }) => `${pen}.${id}.${length}`).join(' ');
    template.reader = this.#readers.get(key) ?? this.#compile(key, template.fields);
    return template.reader.current;
  }

  #compile(key: string, fields: readonly TemplateField[]): SharedReader {
    const reader = { current: compileReader(fields, this.#options) };
    for (const [oldest, shared] of this.#readers) {
      if (this.#readers.size < this.#capacity) break;
      this.#readers.delete(oldest);
      shared.current = null;
    }
    this.#readers.set(key, reader);
    return reader;
  }
}
