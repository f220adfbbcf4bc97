/**
 * What the detectors of this process know of mail servers that nobody declared, kept over a restart in the data directory.
 *
 * Without it a mail server that took its last mail before the restart would look like a bot after it. What the file lacks of
 * the last seconds before a kill comes again: detectors read that part of the stream again. A file that is damaged or cannot
 * be written costs that memory, and is reported once.
 */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { clearInterval, setInterval } from 'node:timers';
import { z } from 'zod';
import type { DetectorPartitions } from '../detect/detector-partitions.ts';
import type { NetworkSight } from '../detect/detector-state.ts';
import type { KnownMailServer } from '../detect/mail-servers.ts';
import { messageOf, RogueSmtpError } from '../errors.ts';
import { checkedText, withChecksum } from '../files/checked-text.ts';
import { replaceFile } from '../files/replace-file.ts';
import type { Logger } from '../logger.ts';

const FILE = 'mail-servers.json';
const INTERVAL_MS = 10_000;

/** As many as one detector remembers. */
const MAX_SERVERS = 65_536;

const fileSchema = z.strictObject({
  v: z.literal(1),
  /** A declared sender was seen at work. */
  sender_seen: z.boolean(),
  servers: z
    .array(
      z.strictObject({
        site: z.string(),
        host: z.string(),
        facts: z.array(z.number().int().min(0).max(0xffffffff)).max(64),
      }),
    )
    .max(MAX_SERVERS),
});

export interface MailServerFile {
  /** Reads what an earlier process knew. */
  open(): Promise<void>;
  /** What was read. */
  servers(): readonly KnownMailServer[];
  start(): void;
  /** Writes what has changed. */
  stop(): Promise<void>;
}

/** What was kept, or null where nothing was. Throws RogueSmtpError `io` for a file that is damaged or cannot be read. */
export async function readMailServers(directory: string): Promise<z.infer<typeof fileSchema> | null> {
  const path = join(directory, FILE);
  try {
    const text = checkedText(await readFile(path, 'utf8'));
    if (text === null) throw new Error('its checksum is wrong');
    return fileSchema.parse(JSON.parse(text));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw new RogueSmtpError('io', `${path}: ${messageOf(error)}`, { cause: error });
  }
}

export function createMailServerFile(
  directory: string,
  sight: NetworkSight,
  detectors: DetectorPartitions,
  log: Logger,
): MailServerFile {
  const path = join(directory, FILE);
  let read: readonly KnownMailServer[] = [];
  let written = '';
  let failed = false;
  let timer: NodeJS.Timeout | null = null;
  let writing: Promise<void> = Promise.resolve();

  /** Of hosts that several detectors know, the one whose partition it is has learned more. */
  function known(): KnownMailServer[] {
    const all = new Map(read.map((server) => [`${server.site}|${server.host}`, server]));
    const facts = (server: KnownMailServer) => server.facts.filter((fact) => fact !== 0).length;
    for (const [, detector] of detectors.assigned) {
      for (const server of detector.mailServers()) {
        const key = `${server.site}|${server.host}`;
        const other = all.get(key);
        if (other === undefined || facts(server) >= facts(other)) all.set(key, server);
      }
    }
    return [...all.values()].slice(-MAX_SERVERS);
  }

  /** What was there at the last write, so that nothing is collected in vain. */
  function state(): string {
    return [sight.senderSeen, ...[...detectors.assigned].map(([, one]) => one.mailServersRevision)].join();
  }

  async function write(): Promise<void> {
    const now = state();
    if (now === written) return;
    try {
      const text = JSON.stringify({ v: 1, sender_seen: sight.senderSeen, servers: known() });
      await replaceFile(path, withChecksum(text));
      written = now;
      failed = false;
    } catch (error) {
      if (!failed) log.warn({ error: messageOf(error) }, 'the probable mail servers could not be kept');
      failed = true;
    }
  }

  return {
    async open() {
      try {
        const kept = await readMailServers(directory);
        if (kept === null) return;
        read = kept.servers;
        if (kept.sender_seen) sight.senderSeen = true;
      } catch (error) {
        log.warn(
          { error: messageOf(error) },
          'the probable mail servers of the last run are not known any more',
        );
      }
    },
    servers: () => read,
    start() {
      timer = setInterval(() => {
        writing = writing.then(write);
      }, INTERVAL_MS);
      timer.unref();
    },
    async stop() {
      if (timer !== null) clearInterval(timer);
      writing = writing.then(write);
      await writing;
    },
  };
}
