/**
 * Watches whether own public addresses are on DNS blocklists, and tells when one gets on a list or off it.
 *
 * What is listed is kept in a file, so that a restart tells nothing twice. An address is off a list only when the list said so
 * while it passed its test: silence, errors and lists that are gone leave what is known.
 */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { Config } from '../config/schema.ts';
import { messageOf } from '../errors.ts';
import { replaceFile } from '../files/replace-file.ts';
import type { AddressBytes } from '../flow/address.ts';
import type { Logger } from '../logger.ts';
import type { Alert, Incident } from '../messages/alert.ts';
import {
  askZone,
  type BlocklistResolver,
  createBlocklistResolver,
  type ListAnswer,
  type ZoneAnswers,
} from './ask.ts';
import { delistedAlert, type Listing, listedAlert } from './news.ts';

export interface BlocklistWatchDependencies {
  readonly config: Pick<Config, 'blocklists' | 'data'>;
  /** Newest state of each host's incident, to be told beside a listing. Throws where it is not known yet. */
  readonly incidents: () => readonly Incident[];
  readonly tell: (alert: Alert) => void;
  readonly log: Pick<Logger, 'info' | 'warn' | 'error'>;
  readonly now: () => number;
  readonly policyVersion: () => string;
  /** Absent: asks the DNS. */
  readonly resolver?: BlocklistResolver;
  /** Between two questions; absent: some time that the lists do not mind. */
  readonly pauseMs?: number;
}

export interface BlocklistWatch {
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Asks all lists now. Never throws. */
  look(): Promise<void>;
  listings(): readonly Listing[];
  /** Lists that could not be asked at the last look, with the reason. */
  troubles(): ReadonlyMap<string, string>;
}

const FILE = 'blocklists.json';
const PAUSE_MS = 50;
/** A look begins up to this share of the interval later, so that many instances do not ask at the same minute. */
const JITTER = 0.1;
/** Looks in a row at which a list could not be asked, until it is said in the log. */
const TOLD_AFTER = 3;

const fileSchema = z.object({
  listings: z.array(
    z.object({
      address: z.string().max(64),
      zone: z.string().max(255),
      since: z.iso.datetime({ precision: 3 }),
      codes: z.array(z.string().max(64)).max(32),
      meaning: z.string().max(2000),
      text: z.string().max(1000),
    }),
  ),
});

/** The addresses of `blocklists.addresses` one by one. */
export function watchedAddresses({ addresses }: Config['blocklists']): AddressBytes[] {
  return addresses.flatMap(({ bytes, length }) =>
    Array.from({ length: 2 ** (128 - length) }, (_, offset) => {
      const address = Uint8Array.from(bytes);
      // The schema takes no prefix of more addresses than the last octet can tell apart.
      address[15] += offset;
      return address;
    }),
  );
}

export function createBlocklistWatch(dependencies: BlocklistWatchDependencies): BlocklistWatch {
  const { config, tell, log, now, policyVersion, pauseMs = PAUSE_MS } = dependencies;
  const { blocklists } = config;
  const file = join(config.data, FILE);
  const addresses = watchedAddresses(blocklists);
  const stopping = new AbortController();
  const troubles = new Map<string, string>();
  const failures = new Map<string, number>();
  let listings = new Map<string, Listing>();
  let working: Promise<void> = Promise.resolve();

  async function read(): Promise<void> {
    try {
      const kept = fileSchema.parse(JSON.parse(await readFile(file, 'utf8'))).listings;
      listings = new Map(kept.map((listing) => [keyOf(listing), listing]));
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return;
      log.warn(
        { file, error: messageOf(error) },
        'what was on blocklists before is not known: what is listed now is told again',
      );
    }
  }

  async function look(): Promise<void> {
    // One list fails without the others; each is asked by questions in turn.
    const resolver = dependencies.resolver ?? createBlocklistResolver(blocklists.servers);
    stopping.signal.addEventListener('abort', () => resolver.cancel(), { once: true });
    const results = await Promise.all(
      blocklists.zones.map((zone) =>
        askZone(zone, addresses, resolver, { signal: stopping.signal, pauseMs }),
      ),
    );
    if (stopping.signal.aborted) return;
    const before = JSON.stringify([...listings]);
    for (const result of results) {
      noteTrouble(result);
      for (const [address, answer] of result.answers) note(result.zone, address, answer);
    }
    if (JSON.stringify([...listings]) !== before)
      await replaceFile(file, `${JSON.stringify({ listings: [...listings.values()] })}\n`);
  }

  function noteTrouble({ zone, trouble }: ZoneAnswers): void {
    const count = trouble === null ? 0 : (failures.get(zone) ?? 0) + 1;
    failures.set(zone, count);
    if (trouble === null) troubles.delete(zone);
    else troubles.set(zone, trouble);
    if (trouble !== null && count === TOLD_AFTER)
      log.warn({ list: zone, reason: trouble }, 'a blocklist cannot be asked; what it lists is not known');
  }

  function note(zone: string, address: string, answer: ListAnswer): void {
    const key = keyOf({ address, zone });
    const known = listings.get(key);
    const context = { nowMs: now(), policyVersion: policyVersion() };
    if (answer.kind === 'listed' && known === undefined) {
      const { codes, meaning, text } = answer;
      const listing = { address, zone, since: new Date(context.nowMs).toISOString(), codes, meaning, text };
      listings.set(key, listing);
      const alert = listedAlert(listing, incidentsNow(), context);
      tell(alert);
      log.warn({ address, list: zone }, alert.reasons[0]);
    }
    if (answer.kind === 'clear' && known !== undefined) {
      listings.delete(key);
      const alert = delistedAlert(known, context);
      tell(alert);
      log.info({ address, list: zone }, alert.reasons[0]);
    }
  }

  function incidentsNow(): readonly Incident[] {
    try {
      return dependencies.incidents();
    } catch {
      return [];
    }
  }

  function inTurn(): Promise<void> {
    working = working.then(look).catch((error: unknown) => {
      log.error({ error: messageOf(error) }, 'what is on blocklists could not be kept; tried again later');
    });
    return working;
  }

  async function goOn(): Promise<void> {
    const { signal } = stopping;
    while (!signal.aborted) {
      await inTurn();
      const pause = blocklists.every * (1 + JITTER * Math.random());
      await sleep(pause, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  let going: Promise<void> = Promise.resolve();
  return {
    look: inTurn,
    async start() {
      if (addresses.length === 0 || blocklists.zones.length === 0) return;
      await read();
      going = goOn();
    },
    async stop() {
      stopping.abort();
      await going;
      await working;
    },
    listings: () => [...listings.values()],
    troubles: () => troubles,
  };
}

const keyOf = ({ address, zone }: Pick<Listing, 'address' | 'zone'>) => `${address} ${zone}`;
