/**
 * What the case files of all hosts share: the records, and tables of what does not fit into a record of fixed size.
 *
 * Texts and blocks are objects of which a record holds the number. Texts come from the configuration and from restored
 * incidents, so there are few. Undated blocks are few different ones, shared; one with dates belongs to one host,
 * which must give it back.
 */

import type { AfterNo } from './after-no.ts';
import type { BlockState } from './block.ts';
import type { BlockEffect } from './block-effect.ts';
import { HOST_WORDS } from './case-layout.ts';
import { CellLists } from './cell-lists.ts';
import { Destinations } from './destinations.ts';
import type { Members } from './members.ts';
import { RecordStore } from './record-store.ts';
import { createVantagePoints, type VantagePoints } from './vantage-points.ts';

export interface CaseBlock {
  state: BlockState;
  reason: string;
  sinceMs: number | null;
  untilMs: number | null;
  /** Who approved it by hand; '' for nobody. */
  approvedBy: string;
  /** Only while it is published. */
  effect: BlockEffect | null;
  /** Only while a person's no to it stands. */
  afterNo: AfterNo | null;
}

const NO_BLOCK: CaseBlock = {
  state: 'none',
  reason: '',
  sinceMs: null,
  untilMs: null,
  approvedBy: '',
  effect: null,
  afterNo: null,
};

export interface CaseTables {
  readonly hosts: RecordStore;
  readonly lists: CellLists;
  readonly destinations: Destinations;
  readonly vantagePoints: VantagePoints;
  readonly texts: Texts;
  readonly blocks: Blocks;
  /** By the slot of the host; only hosts that are a group of addresses have any. */
  readonly members: Map<number, Members>;
}

/** `destinationsPerHost`, `destinations`: most that are told apart, of a host and of all. */
export function createCaseTables(destinationsPerHost: number, destinations: number): CaseTables {
  const hosts = new RecordStore(HOST_WORDS);
  return {
    hosts,
    lists: new CellLists(),
    destinations: new Destinations(hosts, destinationsPerHost, destinations),
    vantagePoints: createVantagePoints(),
    texts: new Texts(),
    blocks: new Blocks(),
    members: new Map(),
  };
}

class Texts {
  private readonly texts = [''];
  private readonly numbers = new Map([['', 0]]);

  get(number: number): string {
    return this.texts[number];
  }

  numberOf(text: string): number {
    let number = this.numbers.get(text);
    if (number === undefined) {
      number = this.texts.push(text) - 1;
      this.numbers.set(text, number);
    }
    return number;
  }
}

class Blocks {
  private readonly blocks: CaseBlock[] = [NO_BLOCK];
  private readonly free: number[] = [];
  /** Numbers of the undated ones, by state and reason. */
  private readonly shared = new Map([[NO_BLOCK.state, new Map([[NO_BLOCK.reason, 0]])]]);

  get(number: number): CaseBlock {
    return this.blocks[number];
  }

  /** Gives back the block of a number and returns the number of the next. */
  replace(number: number, block: CaseBlock): number {
    if (this.blocks[number] === block) return number;
    this.release(number);
    if (isDated(block)) {
      const at = this.free.pop() ?? this.blocks.length;
      this.blocks[at] = block;
      return at;
    }
    let ofState = this.shared.get(block.state);
    if (ofState === undefined) {
      ofState = new Map();
      this.shared.set(block.state, ofState);
    }
    let known = ofState.get(block.reason);
    if (known === undefined) {
      known = this.blocks.push(block) - 1;
      ofState.set(block.reason, known);
    }
    return known;
  }

  release(number: number): void {
    if (!isDated(this.blocks[number])) return;
    this.blocks[number] = NO_BLOCK;
    this.free.push(number);
  }
}

const isDated = ({ sinceMs, untilMs, approvedBy, effect, afterNo }: CaseBlock): boolean =>
  sinceMs !== null || untilMs !== null || approvedBy !== '' || effect !== null || afterNo !== null;
