/**
 * TCP flags and counters out of structured data (RFC 6313): basicList, subTemplateList and subTemplateMultiList.
 *
 * YAF puts what it knows of TCP into a record inside of the record. Only such templates come here. Lengths and template
 * ids are the network's: everything stays between `at` and `end`, and a list costs a bounded number of steps.
 */

import {
  CERT_PEN,
  CERT_REVERSE,
  IE,
  REVERSE_PEN,
  type TemplateField,
  VARIABLE_LENGTH,
} from './template-field.ts';

export type ListKind = typeof IE.basicList | typeof IE.subTemplateList | typeof IE.subTemplateMultiList;

/** What is needed of a template here. */
export type KnownTemplates = ReadonlyMap<number, { readonly fields: readonly TemplateField[] }>;

const NO_FLAGS = -1;
/** Larger counters than this are negative numbers, or none at all. */
const MAX_COUNT = Number.MAX_SAFE_INTEGER;
const MAX_DEPTH = 3;
/** Fields read in one list, all levels together. */
const MAX_FIELDS = 4096;

interface Search {
  readonly templates: KnownTemplates;
  readonly reverse: boolean;
  fieldsLeft: number;
  flags: number;
  /** The counters that are looked for, the best first; null when flags are. */
  readonly counters: readonly number[] | null;
  /** The place in `counters` of what was found, and its value; -1 when nothing was. */
  rank: number;
  count: number;
}

/** The flags of one direction, of all records in the list together; -1 when none tells them. */
export function flagsInList(
  bytes: Buffer,
  kind: ListKind,
  at: number,
  end: number,
  templates: KnownTemplates,
  reverse: boolean,
): number {
  const search = beginSearch(templates, reverse, null);
  readList(bytes, kind, at, end, search, 0);
  return search.flags;
}

/**
 * The largest value in the list of the first of these elements that is there; -1 when it has none of them. Not the sum:
 * what the records of a list are to each other is not told well enough to add them up, and two views of the same packets
 * must not become twice as many.
 */
export function countInList(
  bytes: Buffer,
  kind: ListKind,
  at: number,
  end: number,
  templates: KnownTemplates,
  counters: readonly number[],
): number {
  const search = beginSearch(templates, false, counters);
  readList(bytes, kind, at, end, search, 0);
  return search.count;
}

function beginSearch(
  templates: KnownTemplates,
  reverse: boolean,
  counters: readonly number[] | null,
): Search {
  return { templates, reverse, fieldsLeft: MAX_FIELDS, flags: NO_FLAGS, counters, rank: -1, count: -1 };
}

function readList(
  bytes: Buffer,
  kind: ListKind,
  begin: number,
  end: number,
  search: Search,
  depth: number,
): void {
  if (depth >= MAX_DEPTH || begin + 3 > end) return;
  // Behind the byte that says how the elements relate to each other.
  const at = begin + 1;
  switch (kind) {
    case IE.basicList:
      readBasicList(bytes, at, end, search, depth);
      return;
    case IE.subTemplateList:
      readRecords(bytes, bytes.readUInt16BE(at), at + 2, end, search, depth);
      return;
    case IE.subTemplateMultiList:
      for (let part = at; part + 4 <= end; ) {
        const length = bytes.readUInt16BE(part + 2);
        if (length < 4 || part + length > end) return;
        readRecords(bytes, bytes.readUInt16BE(part), part + 4, part + length, search, depth);
        part += length;
      }
  }
}

function readBasicList(bytes: Buffer, begin: number, end: number, search: Search, depth: number): void {
  let at = begin;
  if (at + 4 > end) return;
  const type = bytes.readUInt16BE(at);
  const length = bytes.readUInt16BE(at + 2);
  at += 4;
  let pen = 0;
  if (type >= 0x8000) {
    if (at + 4 > end) return;
    pen = bytes.readUInt32BE(at);
    at += 4;
  }
  const field: TemplateField = { id: type & 0x7fff, pen, length };
  while (at < end) {
    const next = readField(bytes, field, at, end, search, depth);
    if (next <= at) return;
    at = next;
  }
}

function readRecords(
  bytes: Buffer,
  templateId: number,
  begin: number,
  end: number,
  search: Search,
  depth: number,
): void {
  const fields = search.templates.get(templateId)?.fields;
  if (fields === undefined) return;
  let at = begin;
  while (at < end) {
    const before = at;
    for (const field of fields) {
      at = readField(bytes, field, at, end, search, depth);
      if (at < 0) return;
    }
    if (at === before) return;
  }
}

/** Returns the position behind the field; -1 when it runs past the end, or enough was read. */
function readField(
  bytes: Buffer,
  field: TemplateField,
  begin: number,
  end: number,
  search: Search,
  depth: number,
): number {
  if (search.fieldsLeft-- <= 0) return -1;
  let at = begin;
  let { length } = field;
  if (length === VARIABLE_LENGTH) {
    if (at >= end) return -1;
    length = bytes[at++];
    if (length === 255) {
      if (at + 2 > end) return -1;
      length = bytes.readUInt16BE(at);
      at += 2;
    }
  }
  if (at + length > end) return -1;
  if (search.counters !== null && field.pen === 0 && length > 0 && length <= 8)
    takeCounter(search, search.counters.indexOf(field.id), unsigned(bytes, at, length));
  if (length > 0 && length <= 2 && tellsFlags(field, search.reverse)) {
    const flags = length === 1 ? bytes[at] : bytes.readUInt16BE(at);
    search.flags = (search.flags === NO_FLAGS ? 0 : search.flags) | flags;
  } else if (field.pen === 0 && isList(field.id)) {
    readList(bytes, field.id, at, at + length, search, depth + 1);
  }
  return at + length;
}

function takeCounter(search: Search, rank: number, count: number): void {
  if (rank < 0 || count > MAX_COUNT) return;
  const isBetter = search.count < 0 || rank < search.rank || (rank === search.rank && count > search.count);
  if (!isBetter) return;
  search.rank = rank;
  search.count = count;
}

function unsigned(bytes: Buffer, at: number, length: number): number {
  if (length <= 6) return bytes.readUIntBE(at, length);
  return bytes.readUIntBE(at, length - 4) * 4294967296 + bytes.readUInt32BE(at + length - 4);
}

export function isList(id: number): id is ListKind {
  return id === IE.basicList || id === IE.subTemplateList || id === IE.subTemplateMultiList;
}

function tellsFlags({ pen, id }: TemplateField, reverse: boolean): boolean {
  if (id === IE.tcpControlBits) return pen === (reverse ? REVERSE_PEN : 0);
  const cert = reverse ? CERT_REVERSE : 0;
  return pen === CERT_PEN && (id === (14 | cert) || id === (15 | cert));
}
