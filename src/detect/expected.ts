/**
 * What the owner has declared of a host that is no sender (`expected`): it checks servers, verifies addresses, or sends to a
 * few destinations.
 *
 * Pure: it judges one session by what it weighs, where it went and when. What is within the declaration is no evidence against
 * the host; the rest is judged like that of any other host. It must never make a sender of anybody.
 */

import type { Config } from '../config/schema.ts';
import { createPrefixTable, formatPrefix, type Prefix, prefixContains } from '../flow/prefix.ts';
import { MESSAGE } from './message-weight.ts';
import { ANY_SITE, isOfSite, type SiteSet, siteSet } from './site-set.ts';

type ExpectedConfig = Config['expected'][number];

/** What a declaration allows, as numbers: each allows what the ones before it allow. */
export const DOES = { nothing: 0, check: 1, verify: 2, send: 3 } as const;

const DOES_TEXT: Record<ExpectedConfig['does'], string> = {
  check: 'checks mail servers, and tells them no addresses',
  verify: 'verifies addresses, and sends no message',
  send: 'sends to the declared destinations, and not in bulk',
};

/** How a session stands to what is declared of its host. */
export interface Expectation {
  /**
   * `none`: nothing is declared. `doubtful`: within, unless several such sessions prove messages. `deviates`: more than was
   * declared, other destinations, or too late.
   */
  readonly kind: 'none' | 'within' | 'doubtful' | 'deviates';
  /** A value of DOES: under which declaration the session is no evidence. `nothing` unless it is `within`. */
  readonly declared: number;
  /** A sentence part for people, such as `is expected "probe": ...`. */
  readonly text: string;
  /** The same, should all sessions together prove more than is declared. */
  readonly proven: string;
  /** The name of the entry; '' for `none`. */
  readonly name: string;
}

export const NOTHING_EXPECTED: Expectation = {
  kind: 'none',
  declared: DOES.nothing,
  text: '',
  proven: '',
  name: '',
};

/** Judges a session that weighs `message` (see MESSAGE), by 16 address bytes each at their offsets. */
export type Expect = (
  source: Uint8Array,
  sourceOffset: number,
  destination: Uint8Array,
  destinationOffset: number,
  message: number,
  nowMs: number,
  /** The site of the source, an index into the names of sites; without it the entries of every site count. */
  site?: number,
) => Expectation;

interface Rule {
  /** Indexes of its sites; null for everywhere. */
  readonly sites: SiteSet;
  readonly does: number;
  readonly allows: ((bytes: Uint8Array, offset: number) => boolean) | null;
  readonly untilMs: number;
  readonly within: Expectation;
  readonly doubtful: Expectation;
  readonly tells: Expectation;
  readonly sends: Expectation;
  readonly elsewhere: Expectation;
  readonly expired: Expectation;
}

/** Of several entries for a host the one that allows most decides. */
export function compileExpected(entries: readonly ExpectedConfig[], siteNames: readonly string[]): Expect {
  if (entries.length === 0) return () => NOTHING_EXPECTED;
  const rules = entries.map((entry) => compileRule(entry, siteNames));
  const sources = coveringEach(entries, rules);
  const table = createPrefixTable(sources.map(({ prefix }) => prefix));
  return (source, sourceOffset, destination, destinationOffset, message, nowMs, site = ANY_SITE) => {
    const at = table.lookup(source, sourceOffset);
    if (at < 0) return NOTHING_EXPECTED;
    const needed = neededFor(message);
    let found = NOTHING_EXPECTED;
    for (const rule of sources[at].items) {
      if (!isOfSite(rule.sites, site)) continue;
      const allowed = rule.allows === null || rule.allows(destination, destinationOffset);
      if (nowMs >= rule.untilMs) {
        if (found === NOTHING_EXPECTED) found = rule.expired;
      } else if (!allowed) {
        if (found.kind === 'none' || found === rule.expired) found = rule.elsewhere;
      } else if (rule.does >= needed) {
        return rule.within;
      } else if (message < MESSAGE.certain && needed === DOES.send) {
        found = rule.doubtful;
      } else if (found.kind !== 'doubtful') {
        found = needed === DOES.verify ? rule.tells : rule.sends;
      }
    }
    return found;
  };
}

/** What has to be declared for a session that weighs so much. One of which the records do not tell is taken for a check. */
function neededFor(message: number): number {
  if (message >= MESSAGE.likely) return DOES.send;
  return message === MESSAGE.envelope || message === MESSAGE.tlsEnvelope ? DOES.verify : DOES.check;
}

/**
 * The distinct prefixes of the entries, each with the items of every entry that covers it: a longest-prefix match then finds
 * all of an address, also those of a wider prefix.
 */
export function coveringEach<T>(
  entries: readonly { readonly hosts: readonly Prefix[] }[],
  items: readonly T[],
): { readonly prefix: Prefix; readonly items: readonly T[] }[] {
  const distinct = new Map<string, Prefix>();
  for (const { hosts } of entries) for (const host of hosts) distinct.set(formatPrefix(host), host);
  return [...distinct.values()].map((prefix) => ({
    prefix,
    items: items.filter((_, i) =>
      entries[i].hosts.some((host) => host.length <= prefix.length && prefixContains(host, prefix.bytes)),
    ),
  }));
}

function compileRule(
  { name, does, to, until, reason, sites }: ExpectedConfig,
  siteNames: readonly string[],
): Rule {
  const table = to === 'any' ? null : createPrefixTable(to);
  const deviation = (what: string) => `deviates from expected "${name}" (${DOES_TEXT[does]}): ${what}`;
  const sends = deviation('it sends messages');
  const proven = does === 'send' ? deviation('it sends in bulk') : sends;
  const text = `is expected "${name}": ${DOES_TEXT[does]}${reason === '' ? '' : ` (${reason})`}`;
  const named = (kind: Expectation['kind'], words: string, declared: number = DOES.nothing): Expectation => ({
    kind,
    declared,
    text: words,
    proven,
    name,
  });
  return {
    sites: siteSet(sites, siteNames),
    does: DOES[does],
    allows: table === null ? null : (bytes, offset) => table.lookup(bytes, offset) >= 0,
    untilMs: until === undefined ? Number.POSITIVE_INFINITY : Date.parse(until),
    within: named('within', text, DOES[does]),
    doubtful: named('doubtful', text),
    tells: named('deviates', deviation('it tells servers addresses of mail')),
    sends: named('deviates', sends),
    elsewhere: named('deviates', deviation('it talks to a destination that is not declared')),
    expired: named('deviates', deviation(`the declaration ended at ${until ?? ''}`)),
  };
}
