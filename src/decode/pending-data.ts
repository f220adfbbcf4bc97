/**
 * Data that came before its template: a bounded waiting room.
 *
 * Sets are copied, keep the facts of the datagram that brought them, and are given back in the order they came. Each
 * exporter has a share of the room, so that one that never sends templates cannot take the place of the others.
 */

import type { ExportProcess } from './export-process.ts';
import type { Domain } from './exporter-table.ts';

/** One exporter may take this part of the room. */
const EXPORTER_SHARE = 1 / 4;
/** What an entry costs beside its bytes. */
const ENTRY_BYTES = 256;

export interface PendingSet {
  readonly domain: Domain;
  readonly process: ExportProcess;
  readonly templateId: number;
  readonly body: Buffer;
  /** Offset of the body in its datagram. */
  readonly offset: number;
  readonly exporterPort: number;
  readonly sequence: number;
  readonly receivedAtMs: number;
  readonly exportMs: number;
  readonly uptimeMs: number;
}

export class PendingData {
  /** By arrival; what waits longest comes first. */
  readonly #sets = new Set<PendingSet>();
  readonly #byTemplate = new Map<ExportProcess, Map<number, PendingSet[]>>();
  readonly #capacityBytes: number;
  readonly #ageMs: number;
  #bytes = 0;

  constructor(capacityBytes: number, ageMs: number) {
    this.#capacityBytes = capacityBytes;
    this.#ageMs = ageMs;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** False when there is no room; the set is then not kept. `set.body` must be a copy. */
  add(set: PendingSet): boolean {
    const cost = set.body.length + ENTRY_BYTES;
    const { exporter } = set.domain;
    if (this.#bytes + cost > this.#capacityBytes) return false;
    if (exporter.pendingBytes + cost > this.#capacityBytes * EXPORTER_SHARE) return false;
    let templates = this.#byTemplate.get(set.process);
    if (templates === undefined) {
      templates = new Map();
      this.#byTemplate.set(set.process, templates);
    }
    const waiting = templates.get(set.templateId);
    if (waiting === undefined) templates.set(set.templateId, [set]);
    else waiting.push(set);
    this.#sets.add(set);
    this.#bytes += cost;
    exporter.pendingBytes += cost;
    return true;
  }

  /** Takes out all that waits for a template, oldest first. */
  take(process: ExportProcess, templateId: number): readonly PendingSet[] {
    const templates = this.#byTemplate.get(process);
    const waiting = templates?.get(templateId);
    if (templates === undefined || waiting === undefined) return [];
    templates.delete(templateId);
    if (templates.size === 0) this.#byTemplate.delete(process);
    for (const set of waiting) this.#leave(set);
    return waiting;
  }

  /** Takes out all that waits for a process, by template, oldest first. */
  takeAll(process: ExportProcess): readonly PendingSet[] {
    return [...(this.#byTemplate.get(process)?.keys() ?? [])].flatMap((id) => this.take(process, id));
  }

  /** Takes out what has waited too long by `nowMs`. */
  expire(nowMs: number): PendingSet[] {
    const gone: PendingSet[] = [];
    for (const set of this.#sets) {
      if (nowMs - set.receivedAtMs <= this.#ageMs) break;
      const templates = this.#byTemplate.get(set.process);
      const waiting = templates?.get(set.templateId);
      // Sets of one template wait in the order of all: this is the first of them.
      waiting?.shift();
      if (waiting?.length === 0) templates?.delete(set.templateId);
      if (templates?.size === 0) this.#byTemplate.delete(set.process);
      this.#leave(set);
      gone.push(set);
    }
    return gone;
  }

  #leave(set: PendingSet): void {
    const cost = set.body.length + ENTRY_BYTES;
    this.#sets.delete(set);
    this.#bytes -= cost;
    set.domain.exporter.pendingBytes -= cost;
  }
}
