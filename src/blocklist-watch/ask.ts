/**
 * Asks blocklists about addresses.
 *
 * Before it is asked, a list has to pass the test of RFC 5782 section 5: it lists 127.0.0.2 and not 127.0.0.1. A list that has
 * closed, a resolver that makes up answers or is refused, and a network without DNS do not; what they say of our
 * addresses is then not believed, in neither direction. Questions go one after the other with pauses: lists count them.
 */

import { Resolver } from 'node:dns/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { type AddressBytes, formatAddress, isIPv4, parseAddress } from '../flow/address.ts';
import { meaningOf, nibblesOf, questionName, TEST_CLEAR, TEST_LISTED } from './zones.ts';

/** What of node:dns is needed. */
export interface BlocklistResolver {
  resolve4(name: string): Promise<string[]>;
  resolveTxt(name: string): Promise<string[][]>;
  /** Ends what is being asked. */
  cancel(): void;
}

export interface AskedZone {
  readonly zone: string;
  /** Meanings of codes, beside those that are known. */
  readonly codes: Readonly<Record<string, string>>;
}

export type ListAnswer =
  | { readonly kind: 'clear' }
  | {
      readonly kind: 'listed';
      readonly codes: readonly string[];
      readonly meaning: string;
      readonly text: string;
    }
  /** Nothing can be said. */
  | { readonly kind: 'unknown'; readonly why: string };

export interface ZoneAnswers {
  readonly zone: string;
  /** Why it could not be asked; null when it could. */
  readonly trouble: string | null;
  /** By address, as people write it. */
  readonly answers: ReadonlyMap<string, ListAnswer>;
}

const TIMEOUT_MS = 3000;
const TRIES = 2;
const MAX_TEXT = 300;

/** With the servers of the machine when none are given. */
export function createBlocklistResolver(servers: readonly string[]): BlocklistResolver {
  const resolver = new Resolver({ timeout: TIMEOUT_MS, tries: TRIES });
  if (servers.length > 0) resolver.setServers(servers);
  return resolver;
}

export interface AskOptions {
  readonly signal: AbortSignal;
  /** Between two questions, milliseconds. */
  readonly pauseMs: number;
}

/** Never throws; an aborted question is `unknown`. */
export async function askZone(
  { zone, codes }: AskedZone,
  addresses: readonly AddressBytes[],
  resolver: BlocklistResolver,
  { signal, pauseMs }: AskOptions,
): Promise<ZoneAnswers> {
  const answers = new Map<string, ListAnswer>();
  const ask = async (name: string) => {
    if (signal.aborted) return { kind: 'unknown', why: 'stopped' } as const;
    await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
    return askName(name, zone, codes, resolver);
  };
  const troubleOf = async (family: '4' | '6'): Promise<string | null> => {
    const name = (text: string) => {
      const bytes = parseAddress(text);
      if (bytes === null) return zone;
      return family === '4' ? questionName(bytes, zone) : `${nibblesOf(bytes)}.${zone}`;
    };
    const listed = await ask(name(TEST_LISTED[family]));
    if (listed.kind === 'unknown') return listed.why;
    if (listed.kind === 'clear')
      return `it does not list the test address ${TEST_LISTED[family]}: it is no such list, has closed, or the resolver does not pass it on`;
    const clear = await ask(name(TEST_CLEAR[family]));
    if (clear.kind === 'unknown') return clear.why;
    return clear.kind === 'listed'
      ? `it lists the test address ${TEST_CLEAR[family]} too, so it lists everything`
      : null;
  };
  const troubles: (string | null)[] = [];
  for (const family of ['4', '6'] as const) {
    const own = addresses.filter((address) => isIPv4(address) === (family === '4'));
    if (own.length === 0) continue;
    const trouble = await troubleOf(family);
    troubles.push(trouble);
    for (const address of own)
      answers.set(
        formatAddress(address),
        trouble === null
          ? await ask(questionName(address, zone))
          : { kind: 'unknown', why: family === '6' ? `for IPv6: ${trouble}` : trouble },
      );
  }
  // A list of IPv4 alone works as far as it goes.
  const trouble = troubles.includes(null) ? null : (troubles[0] ?? null);
  return { zone, trouble, answers };
}

async function askName(
  name: string,
  zone: string,
  codes: Readonly<Record<string, string>>,
  resolver: BlocklistResolver,
): Promise<ListAnswer> {
  let found: string[];
  try {
    found = await resolver.resolve4(name);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'no code';
    return code === 'ENOTFOUND' || code === 'ENODATA'
      ? { kind: 'clear' }
      : { kind: 'unknown', why: `the resolver gave no answer (${code})` };
  }
  const meanings = found.map((code) => meaningOf(zone, code, codes));
  const error = meanings.find(({ kind }) => kind === 'error');
  if (error !== undefined) return { kind: 'unknown', why: error.text };
  if (found.length === 0) return { kind: 'clear' };
  const texts = await resolver.resolveTxt(name).catch(() => []);
  return {
    kind: 'listed',
    codes: [...found].sort(),
    meaning: [...new Set(meanings.map(({ text }) => text))].sort().join('; '),
    text: texts
      .map((parts) => parts.join(''))
      .join(' ')
      .slice(0, MAX_TEXT),
  };
}
