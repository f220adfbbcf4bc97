/**
 * The ids of the newest messages of a stream, so that a message that is published again is not stored again.
 *
 * Ids outlive their segments (a consumer may commit an alert long before a restarted detector repeats it): what goes
 * with a removed segment is written to a file of two generations first. Bounded in memory and on disk; never the only
 * reason to keep a message.
 */

import { appendFile, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { REMEMBERED_IDS } from './settings.ts';

export class PublishedIds {
  readonly #file: string;
  readonly #limit: number;
  /** In the order of publication: the first is the oldest. */
  readonly #ids = new Set<string>();
  /** Lines in the newer generation on disk. */
  #written = 0;

  constructor(directory: string, limit: number = REMEMBERED_IDS) {
    this.#file = join(directory, 'ids');
    this.#limit = limit;
  }

  /** Those of removed segments; those of the segments that are there are for the caller to add afterwards. */
  async load(): Promise<void> {
    for (const id of await readIds(`${this.#file}.1`)) this.add(id);
    const newer = await readIds(this.#file);
    for (const id of newer) this.add(id);
    this.#written = newer.length;
  }

  has(id: string): boolean {
    return id !== '' && this.#ids.has(id);
  }

  add(id: string): void {
    if (id === '') return;
    this.#ids.delete(id);
    this.#ids.add(id);
    if (this.#ids.size <= this.#limit) return;
    for (const oldest of this.#ids) {
      this.#ids.delete(oldest);
      break;
    }
  }

  /** To be called before the messages are removed. */
  async outlive(ids: readonly string[]): Promise<void> {
    const worth = ids.filter((id) => this.has(id));
    if (worth.length === 0) return;
    // The newline in front closes a line that a kill may have left open.
    await appendFile(this.#file, `\n${worth.map((id) => JSON.stringify(id)).join('\n')}\n`);
    this.#written += worth.length;
    if (this.#written < this.#limit) return;
    await rename(this.#file, `${this.#file}.1`);
    this.#written = 0;
  }
}

async function readIds(file: string): Promise<string[]> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch {
    // Without it a repeated message may be stored twice, which consumers bear; without a start nothing is stored.
    return [];
  }
  return text.split('\n').flatMap((line) => {
    try {
      const id: unknown = JSON.parse(line);
      return typeof id === 'string' ? [id] : [];
    } catch {
      return [];
    }
  });
}
