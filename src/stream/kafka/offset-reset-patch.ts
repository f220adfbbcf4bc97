/**
 * Keeps kafkajs 2.2.4 from writing over the position of a group when the brokers no longer have what it asks for.
 *
 * The library then commits -2 ("from the beginning") in the name of the group. That wipes out where the group stood and
 * what is kept with it, so that nobody can say any more how much is gone. With the patch it reads from the beginning
 * all the same, and the position stays as it was until the consumer itself commits.
 */

import { internalOf, prototypeWith } from './library-internals.ts';

const METHOD = 'setDefaultOffset';

interface OffsetManager {
  readonly cluster: {
    fetchTopicsOffset(
      topics: readonly object[],
    ): Promise<readonly { readonly partitions: readonly { readonly offset: string }[] }[]>;
  };
  /** The next offset to fetch, by topic and partition. */
  readonly resolvedOffsets: Record<string, Record<number, string> | undefined>;
  [METHOD](place: { readonly topic: string; readonly partition: number }): Promise<void>;
}

/** `patched`, also when it was before; else why not, in words. */
export function patchOffsetReset(): 'patched' | { readonly reason: string } {
  const manager = prototypeWith(internalOf('src/consumer/offsetManager/index'), isPatchable);
  if ('reason' in manager) return manager;
  manager.prototype[METHOD] = readFromBeginning;
  return 'patched';
}

async function readFromBeginning(
  this: OffsetManager,
  { topic, partition }: { readonly topic: string; readonly partition: number },
): Promise<void> {
  const [answer] = await this.cluster.fetchTopicsOffset([
    { topic, partitions: [{ partition }], fromBeginning: true },
  ]);
  const offset = answer?.partitions[0]?.offset;
  const resolved = this.resolvedOffsets[topic];
  if (offset !== undefined && resolved !== undefined) resolved[partition] = offset;
}

function isPatchable(value: object): value is OffsetManager {
  return METHOD in value && typeof value[METHOD] === 'function';
}
