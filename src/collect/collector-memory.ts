/** What a collector keeps over a restart: the templates of the exporters, and where their sequences stood. */

import { join } from 'node:path';
import type { Logger } from 'pino';
import type { SequenceMark } from '../decode/types.ts';
import { messageOf } from '../errors.ts';
import { createSequenceFile } from './sequence-file.ts';
import { loadTemplates, saveTemplates } from './template-file.ts';

const TEMPLATE_FILE = 'templates.json';
const SEQUENCE_FILE = 'sequences.ndjson';

export interface CollectorMemory {
  /** The snapshot of the last run (see Decoder.snapshot), or null. What is damaged is told, never thrown. */
  templates(): Promise<unknown>;
  keepTemplates(snapshot: unknown): Promise<void>;
  /** The marks of the last run. Call before `keepSequences`. */
  sequences(nowMs: number): Promise<readonly SequenceMark[]>;
  keepSequences(marks: readonly SequenceMark[]): void;
  /** Resolves when everything is on disk. */
  close(): Promise<void>;
}

/** In files of the data directory. `onDamage` is called with what was found damaged, in words. */
export function createCollectorMemory(
  directory: string,
  log: Logger,
  onDamage: (text: string) => void = () => undefined,
): CollectorMemory {
  const templateFile = join(directory, TEMPLATE_FILE);
  const sequenceFile = join(directory, SEQUENCE_FILE);
  let saving: Promise<void> = Promise.resolve();
  const sequences = createSequenceFile(
    sequenceFile,
    (reason) =>
      log.warn(
        { reason },
        'where the exporters stood cannot be kept: after a restart its losses are not known',
      ),
    (lines) =>
      onDamage(
        `${sequenceFile}: ${lines} line(s) are damaged: what these exporters sent while nothing ran may be counted wrongly`,
      ),
  );

  return {
    async templates() {
      const loaded = await loadTemplates(templateFile);
      if (loaded.kind === 'unreadable') {
        log.warn(
          { file: templateFile, reason: loaded.reason },
          'the templates kept from the last run cannot be read; exporters will send them again',
        );
        onDamage(
          `${templateFile} is damaged (${loaded.reason}): flows cannot be decoded until the exporters send their templates again`,
        );
      }
      return loaded.kind === 'snapshot' ? loaded.snapshot : null;
    },
    keepTemplates(snapshot) {
      saving = saving.then(() =>
        saveTemplates(templateFile, snapshot).catch((error: unknown) => {
          log.warn({ file: templateFile, error: messageOf(error) }, 'the templates cannot be kept');
        }),
      );
      return saving;
    },
    sequences: (nowMs) => sequences.open(nowMs),
    keepSequences: (marks) => sequences.keep(marks),
    async close() {
      await saving;
      await sequences.close();
    },
  };
}
