/**
 * Asks the DNS once for the addresses of a name, IPv4 and IPv6.
 *
 * The other end is not trusted: time and number of addresses are bounded, and an address that the use of the name forbids is
 * not taken. An answer never empties a name: one without any address that may be taken, or none at all, leaves what is
 * known. Some names give other addresses with each answer, and programs keep an answer for a while, so an address goes only
 * some time after the last answer that named it.
 */

import { Resolver } from 'node:dns/promises';
import { boundTtl, MIN_TTL_MS, type NameHeader, type ResolvedList } from '../config/lists.ts';
import { MAX_NAME_ADDRESSES } from '../config/names.ts';
import { type AddressBytes, compareAddresses, formatAddress, isIPv4, parseAddress } from '../flow/address.ts';
import type { Prefix } from '../flow/prefix.ts';

/** What of node:dns is needed. */
export interface NameResolver {
  resolve4(hostname: string, options: { ttl: true }): Promise<Answer[]>;
  resolve6(hostname: string, options: { ttl: true }): Promise<Answer[]>;
  /** Ends what is being asked. */
  cancel(): void;
}

/** `ttl` in seconds. */
interface Answer {
  readonly address: string;
  readonly ttl: number;
}

export type ResolvedName =
  | {
      /** `fresh`: the addresses have changed. */
      readonly kind: 'fresh' | 'unchanged';
      readonly prefixes: readonly Prefix[];
      readonly header: NameHeader;
      /** What of the answer was not taken, or is lacking; null when it is whole. */
      readonly partly: string | null;
    }
  /** An answer came, and nothing of it may be taken. */
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'failed'; readonly reason: string };

/** An address is kept for so long after the last answer that named it. */
const LINGER_MS = 3_600_000;
const TIMEOUT_MS = 3000;
const TRIES = 2;

/** With the servers of the machine when none are given; they are as `dns.servers` has them. */
export function createNameResolver(servers: readonly string[]): NameResolver {
  const resolver = new Resolver({ timeout: TIMEOUT_MS, tries: TRIES });
  if (servers.length > 0) resolver.setServers(servers);
  return resolver;
}

/** `known` is the copy, missing or not. Never throws; `signal` ends the wait. */
export async function resolveName(
  known: ResolvedList,
  resolver: NameResolver,
  nowMs: number,
  signal: AbortSignal,
): Promise<ResolvedName> {
  const { hostname, gone, refuse } = known.remote;
  const cancel = () => resolver.cancel();
  signal.addEventListener('abort', cancel, { once: true });
  const families = await Promise.all([
    ask(resolver.resolve4(hostname, { ttl: true })),
    ask(resolver.resolve6(hostname, { ttl: true })),
  ]).finally(() => signal.removeEventListener('abort', cancel));
  if (signal.aborted) return { kind: 'failed', reason: `${hostname}: no answer in time` };

  const answers = families.flatMap((family) => family.answers);
  const failures = families.flatMap(({ failure }) => failure ?? []);
  if (answers.length === 0) {
    const why = failures[0] ?? (families.every(({ code }) => code === 'ENOTFOUND') ? NO_NAME : NO_ADDRESS);
    return { kind: 'failed', reason: `${hostname}: ${why}` };
  }
  if (answers.length > MAX_NAME_ADDRESSES)
    return { kind: 'refused', reason: `${hostname}: more than ${MAX_NAME_ADDRESSES} addresses` };
  const taken: AddressBytes[] = [];
  const refusals: string[] = [];
  for (const { address } of answers) {
    const bytes = parseAddress(address);
    const reason = bytes === null ? 'an answer is no address' : refuse(bytes);
    if (bytes !== null && reason === null) taken.push(bytes);
    else if (reason !== null) refusals.push(reason);
  }
  const troubles = [...refusals.sort().slice(0, TOLD), ...failures];
  const partly = troubles.length === 0 ? null : `${hostname}: ${troubles.join('; ')}`;
  if (taken.length === 0) return { kind: 'refused', reason: partly ?? `${hostname}: ${NO_ADDRESS}` };

  // Of a family that could not be asked for, what is known counts as answered.
  const unasked = families.map(({ failure }) => failure !== null);
  const current = new Set(taken.map((bytes) => formatAddress(bytes)));
  for (const { bytes } of known.prefixes) {
    const text = formatAddress(bytes);
    if (unasked[isIPv4(bytes) ? 0 : 1] && gone[text] === undefined) current.add(text);
  }
  const lingering = lingeringOf(known, current, nowMs);
  const prefixes = [...current, ...lingering.map(([text]) => text)]
    .flatMap((text) => parseAddress(text) ?? [])
    .sort(compareAddresses)
    .map((bytes): Prefix => ({ bytes, length: 128 }));
  const ttl = boundTtl(1000 * Math.min(...answers.map((answer) => answer.ttl)));
  return {
    kind: isSame(prefixes, known.prefixes) ? 'unchanged' : 'fresh',
    prefixes,
    header: { ttl: failures.length > 0 ? MIN_TTL_MS : ttl, gone: Object.fromEntries(lingering) },
    partly,
  };
}

const NO_NAME = 'there is no such name';
const NO_ADDRESS = 'the name has no address';
/** Reasons that are told of one answer. */
const TOLD = 3;

interface Family {
  readonly answers: readonly Answer[];
  /** A definite "none": ENOTFOUND for the whole name, ENODATA for this kind of address. */
  readonly code: string | null;
  /** Why nothing is known. */
  readonly failure: string | null;
}

async function ask(question: Promise<Answer[]>): Promise<Family> {
  try {
    return { answers: await question, code: null, failure: null };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    const isNone = code === 'ENOTFOUND' || code === 'ENODATA';
    return { answers: [], code, failure: isNone ? null : `the DNS gave no answer (${code})` };
  }
}

/** Known addresses that the answer lacks and that are not old yet, with the time of the last answer that named them. */
function lingeringOf(known: ResolvedList, current: ReadonlySet<string>, nowMs: number): [string, number][] {
  return known.prefixes
    .map(({ bytes }): [string, number] => {
      const text = formatAddress(bytes);
      // A clock that was set back must not keep one for ever.
      return [text, Math.min(known.remote.gone[text] ?? known.writtenMs, nowMs)];
    })
    .filter(([text, seenMs]) => !current.has(text) && nowMs - seenMs < LINGER_MS)
    .sort(([, a], [, b]) => b - a)
    .slice(0, Math.max(0, MAX_NAME_ADDRESSES - current.size));
}

function isSame(a: readonly Prefix[], b: readonly Prefix[]): boolean {
  return a.length === b.length && a.every(({ bytes }, i) => compareAddresses(bytes, b[i].bytes) === 0);
}
