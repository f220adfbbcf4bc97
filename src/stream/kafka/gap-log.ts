/**
 * What happened to the places of a group, gathered for a moment and then told together: in the log at WARN and to whoever
 * makes alerts of it.
 *
 * A topic that was made anew concerns all its partitions at once, and a gap shows up message by message: one sentence for
 * each stream is enough.
 */

import type { StreamLogger } from '../local/settings.ts';
import type { StreamGap } from '../stream.ts';
import type { Beginning } from './place-moves.ts';

export interface Gaps {
  /** The place in a partition is not what it was. */
  moved(topic: string, partition: number, story: NonNullable<Beginning['story']>): void;
  /** Of a partition, so much is gone for good. `rows`: as far as producers say. */
  lost(topic: string, partition: number, loss: Loss): void;
  /** So many messages in a row had come before. */
  repeated(topic: string, partition: number, producer: string, messages: number): void;
  /** Tells what was gathered. */
  flush(): void;
}

interface Loss {
  readonly messages: number;
  readonly rows: number;
}

const STORIES: Readonly<Record<NonNullable<Beginning['story']>, string>> = {
  recreated:
    'was deleted and made anew: it is read from its beginning, what was unread in the old one is lost',
  cut: 'was cut back below what was read (an unclean election): it is read from there on, what was cut and unread is lost',
  removed: 'lost the position of the group (an admin tool): reading goes on where this process stood',
  set: 'has a position of the group that somebody else set (an admin tool, or an earlier version): reading goes on there, what lies in between is passed over or read again',
};
const MOST_TOLD = 10_000;

export function createGapLog(groupId: string, log: StreamLogger, tell: (gap: StreamGap) => void): Gaps {
  const moves = new Map<string, { topic: string; story: Beginning['story']; partitions: number[] }>();
  const losses = new Map<string, { messages: number; rows: number; partitions: Set<number> }>();
  const repeats = new Map<string, { topic: string; partition: number; producer: string; messages: number }>();
  let told = 0;

  function say(text: string, lost: number, fields: object): void {
    log.warn({ groupId, ...fields }, text);
    // Whoever makes alerts keeps them all: a broker that does this for ever must not fill the memory.
    if (told++ < MOST_TOLD) tell({ text: `${text} (group ${groupId})`, lost });
  }

  return {
    moved(topic, partition, story) {
      const known = moves.get(`${topic} ${story}`);
      if (known === undefined) moves.set(`${topic} ${story}`, { topic, story, partitions: [partition] });
      else known.partitions.push(partition);
    },
    lost(topic, partition, { messages, rows }) {
      const known = losses.get(topic) ?? { messages: 0, rows: 0, partitions: new Set() };
      known.messages += messages;
      known.rows += rows;
      known.partitions.add(partition);
      losses.set(topic, known);
    },
    repeated(topic, partition, producer, messages) {
      repeats.set(`${topic} ${partition} ${producer}`, { topic, partition, producer, messages });
    },
    flush() {
      for (const { topic, story, partitions } of moves.values()) {
        if (story !== null) say(`topic ${topic} ${STORIES[story]}`, 0, { topic, partitions, story });
      }
      moves.clear();
      for (const [topic, { messages, rows, partitions }] of losses) {
        const gone = messages === 0 ? '' : `no longer held ${messages} message(s) that were to be read; `;
        say(`topic ${topic} ${gone}${rows} row(s) are known to be lost`, rows, {
          topic,
          partitions: [...partitions],
          messages,
          rows,
        });
      }
      losses.clear();
      for (const { topic, partition, producer, messages } of repeats.values()) {
        const text = `${messages} messages in a row of producer ${producer} had come before and were taken once: a data directory of a collector may be a copy of another one`;
        say(text, 0, { topic, partition, producer, messages });
      }
      repeats.clear();
    },
  };
}
