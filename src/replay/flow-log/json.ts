/**
 * JSON lines: values that came from outside, taken only when they are what they should be.
 */

import { epochMs, readAddress, readProtocol, readSeconds, readTime } from './values.ts';

export type JsonRecord = Readonly<Record<string, unknown>>;

export function isRecord(value: unknown): value is JsonRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Whether a text begins with an object, or an array that may hold some: `[12.3]` is a time of the kernel, not an array. */
export function beginsJson(text: string): boolean {
  return /^\s*(?:\{|\[\s*(?:[[{\]]|$))/.test(text);
}

/** The object on a line; null when it is none. */
export function parseJson(text: string, start: number, end: number): JsonRecord | null {
  try {
    const value: unknown = JSON.parse(text.slice(start, end));
    return isRecord(value) ? value : null;
  } catch {
    return null;
  }
}

/** Seconds or milliseconds since 1970, or a date and time in words; -1 for anything else. */
export function readJsonTime(value: unknown): number {
  if (typeof value === 'number') return epochMs(value * 1000);
  return typeof value === 'string' ? readTime(value, 0, value.length) : -1;
}

export function readJsonAddress(value: unknown, out: Uint8Array): boolean {
  return typeof value === 'string' && readAddress(value, 0, value.length, out);
}

/** A protocol by name or number; -1 for anything else. An object has no text that is safe to ask for. */
export function readJsonProtocol(value: unknown): number {
  if (typeof value !== 'string' && typeof value !== 'number') return -1;
  const word = String(value);
  return readProtocol(word, 0, word.length);
}

/** Seconds as a number, or in words, in milliseconds; -1 for anything else. */
export function readJsonSeconds(value: unknown): number {
  if (typeof value === 'number') return value >= 0 ? value * 1000 : -1;
  return typeof value === 'string' ? readSeconds(value, 0, value.length) : -1;
}
