/**
 * The difference of two texts as `diff -u` shows it, and as `patch` reads it.
 *
 * Pure, for lists of lines that are mostly the same: what is equal at both ends is set aside, the rest is compared by
 * Myers' algorithm. Texts that differ beyond a bound are shown as one replacement, so that no input takes for ever.
 */

const CONTEXT_LINES = 3;
/** Insertions and deletions that are looked for; memory and time grow with the square. */
const MAX_EDITS = 2000;

interface Edit {
  readonly sign: ' ' | '-' | '+';
  readonly line: string;
}

/** Empty when the texts are equal. Names are those behind `---` and `+++`. */
export function unifiedDiff(before: string, after: string, names: readonly [string, string]): string {
  if (before === after) return '';
  const edits = editsOf(linesOf(before), linesOf(after));
  const out = [`--- ${names[0]}`, `+++ ${names[1]}`];
  let oldLine = 1;
  let newLine = 1;
  for (let at = 0; at < edits.length; ) {
    if (edits[at].sign === ' ') {
      at++;
      oldLine++;
      newLine++;
      continue;
    }
    const from = Math.max(0, at - CONTEXT_LINES);
    const to = hunkEnd(edits, at);
    const hunk = edits.slice(from, to);
    const oldFrom = oldLine - (at - from);
    const newFrom = newLine - (at - from);
    const oldCount = hunk.filter(({ sign }) => sign !== '+').length;
    const newCount = hunk.filter(({ sign }) => sign !== '-').length;
    out.push(`@@ -${range(oldFrom, oldCount)} +${range(newFrom, newCount)} @@`);
    for (const { sign, line } of hunk) out.push(`${sign}${line}`);
    oldLine = oldFrom + oldCount;
    newLine = newFrom + newCount;
    at = to;
  }
  return `${out.join('\n')}\n`;
}

/** An empty range is named by the line before it. */
const range = (from: number, count: number): string =>
  count === 1 ? String(from) : `${count === 0 ? from - 1 : from},${count}`;

/** Changes whose contexts touch belong together. */
function hunkEnd(edits: readonly Edit[], from: number): number {
  let last = from;
  for (let at = from; at < edits.length && at - last <= 2 * CONTEXT_LINES; at++)
    if (edits[at].sign !== ' ') last = at;
  return Math.min(edits.length, last + 1 + CONTEXT_LINES);
}

function linesOf(text: string): readonly string[] {
  if (text === '') return [];
  return (text.endsWith('\n') ? text.slice(0, -1) : text).split('\n');
}

function editsOf(before: readonly string[], after: readonly string[]): readonly Edit[] {
  let head = 0;
  while (head < before.length && head < after.length && before[head] === after[head]) head++;
  let tail = 0;
  const most = Math.min(before.length, after.length) - head;
  while (tail < most && before[before.length - 1 - tail] === after[after.length - 1 - tail]) tail++;
  const kept = (lines: readonly string[]): Edit[] => lines.map((line) => ({ sign: ' ', line }));
  return [
    ...kept(before.slice(0, head)),
    ...middle(before.slice(head, before.length - tail), after.slice(head, after.length - tail)),
    ...kept(before.slice(before.length - tail)),
  ];
}

/** Myers 1986, "An O(ND) Difference Algorithm", the greedy version with the frontier of each step kept. */
function middle(before: readonly string[], after: readonly string[]): readonly Edit[] {
  const [n, m] = [before.length, after.length];
  const frontiers: Int32Array[] = [];
  const best = new Int32Array(2 * MAX_EDITS + 3);
  const zero = MAX_EDITS + 1;
  for (let d = 0; d <= Math.min(n + m, MAX_EDITS); d++) {
    frontiers.push(best.slice(zero - d - 1, zero + d + 2));
    for (let k = -d; k <= d; k += 2) {
      const down = k === -d || (k !== d && best[zero + k - 1] < best[zero + k + 1]);
      let x = down ? best[zero + k + 1] : best[zero + k - 1] + 1;
      while (x < n && x - k < m && before[x] === after[x - k]) x++;
      best[zero + k] = x;
      if (x >= n && x - k >= m) return walkBack(before, after, frontiers);
    }
  }
  return [
    ...before.map((line): Edit => ({ sign: '-', line })),
    ...after.map((line): Edit => ({ sign: '+', line })),
  ];
}

function walkBack(
  before: readonly string[],
  after: readonly string[],
  frontiers: readonly Int32Array[],
): readonly Edit[] {
  const edits: Edit[] = [];
  let x = before.length;
  let y = after.length;
  for (let d = frontiers.length - 1; d >= 0; d--) {
    // frontiers[d][k + d + 1] is how far diagonal k got with d - 1 edits.
    const at = (k: number) => frontiers[d][k + d + 1];
    const k = x - y;
    const down = k === -d || (k !== d && at(k - 1) < at(k + 1));
    const fromX = d === 0 ? 0 : down ? at(k + 1) : at(k - 1) + 1;
    for (; x > fromX; x--, y--) edits.push({ sign: ' ', line: before[x - 1] });
    if (d === 0) break;
    if (down) edits.push({ sign: '+', line: after[--y] });
    else edits.push({ sign: '-', line: before[--x] });
  }
  return edits.reverse();
}
