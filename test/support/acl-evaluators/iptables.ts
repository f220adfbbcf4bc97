/** What our script does: the set is filled and swapped, the chain replaced, the jump put first. Other chains are not ours. */

import { type Flow, isLoopback, readAddress, SELF } from './flow.ts';
import {
  ANY,
  type End,
  familyOf,
  inPrefix,
  type Judge,
  known,
  once,
  REMARK,
  readLines,
  readPort,
} from './rules.ts';

interface Line {
  readonly source: End;
  readonly destination: End;
  readonly set: string | null;
  readonly protocol: string | null;
  readonly port: number | null;
  readonly sourcePort: number | null;
  readonly target: 'RETURN' | 'REJECT';
}

export function readIptables(text: string): Judge {
  const parts =
    /^#!\/bin\/sh\n(?:#.*\n)*set -eu\n(?:ipset restore <<'SET'\n([\s\S]*?)SET\n)?(ip6?tables)-restore -w --noflush <<'RULES'\n([\s\S]*?)RULES\n(.*)\n$/.exec(
      text,
    );
  if (parts === null) throw new Error('not the script');
  const [, sets, tool, rules, hook] = parts;
  const family = tool === 'iptables' ? 4 : 6;
  const inForce = sets === undefined ? new Map<string, bigint[]>() : readSets(sets, family);
  const chain = readChain(rules, family, inForce);
  const jump =
    /^(ip6?tables) -w -C (FORWARD|OUTPUT) ((?:-i (\S{1,15}) |! -o lo )?-p tcp -m tcp --dport 25 -j (\S+)) 2>\/dev\/null \|\| \1 -w -I \2 1 \3$/.exec(
      hook,
    );
  if (jump === null || jump[1] !== tool || jump[5] !== chain.name) throw new Error(`not the jump: ${hook}`);
  const [, , passed, bounds, face] = jump;
  return (flow) => {
    if ((passed === 'OUTPUT') !== (flow.from === SELF)) return 'permit';
    if (bounds.startsWith('! -o lo') && isLoopback(flow.destination)) return 'permit';
    if (familyOf(flow) !== family || flow.protocol !== 'tcp' || flow.port !== 25) return 'permit';
    if (face !== undefined && face !== flow.from) return 'permit';
    const taken = chain.lines.find((line) => takes(line, flow, inForce));
    return taken?.target === 'REJECT' ? 'deny' : 'permit';
  };
}

function readSets(text: string, family: 4 | 6): Map<string, bigint[]> {
  const sets = new Map<string, bigint[]>();
  readLines(text, '#', [
    [
      /^create -exist (\S{1,31}) hash:ip family (inet6?) hashsize 1024 maxelem 262144 comment$/,
      ([, name, word]) => {
        if ((word === 'inet' ? 4 : 6) !== family) throw new Error('of another family');
        once(sets, name, []);
      },
    ],
    [/^flush (\S+)$/, ([, name]) => void known(sets, name).splice(0)],
    [
      new RegExp(`^add (\\S+) (\\S+)(?: comment "${REMARK}")?$`),
      ([, name, address]) => {
        const { value, family: of } = readAddress(address);
        if (of !== family || known(sets, name).includes(value)) throw new Error(`not an element: ${address}`);
        known(sets, name).push(value);
      },
    ],
    [
      /^swap (\S+) (\S+)$/,
      ([, one, other]) => {
        const kept = known(sets, one);
        sets.set(one, known(sets, other));
        sets.set(other, kept);
      },
    ],
    [
      /^destroy (\S+)$/,
      ([, name]) => {
        known(sets, name);
        sets.delete(name);
      },
    ],
  ]);
  return sets;
}

function readChain(text: string, family: 4 | 6, sets: ReadonlyMap<string, bigint[]>) {
  const rows = text.trimEnd().split('\n');
  const opening = /^:(\S{1,28}) - \[0:0\]$/.exec(rows[1] ?? '');
  if (rows[0] !== '*filter' || opening === null || rows.at(-1) !== 'COMMIT')
    throw new Error('not one transaction');
  const name = opening[1];
  return { name, lines: rows.slice(2, -1).map((row) => readRule(row, name, family, sets)) };
}

function readRule(row: string, chain: string, family: 4 | 6, sets: ReadonlyMap<string, bigint[]>): Line {
  const form = new RegExp(
    '^-A (\\S+)(?: -s (\\S+))?(?: -d (\\S+))?(?: -p (tcp|udp) -m (?:tcp|udp))?' +
      `(?: --(d|s)port (\\d+))?(?: -m set --match-set (\\S+) src)?(?: -m comment --comment "${REMARK}")?` +
      ' -j (RETURN|REJECT --reject-with tcp-reset)$',
  );
  const found = form.exec(row);
  if (found === null || found[1] !== chain) throw new Error(`not a rule of ours: ${row}`);
  const [, , source, destination, protocol, side, port, set, target] = found;
  if (port !== undefined && protocol === undefined) throw new Error('a port without a protocol');
  if (target !== 'RETURN' && protocol !== 'tcp') throw new Error('a reset without tcp');
  if (set !== undefined) known(sets, set);
  return {
    source: source === undefined ? ANY : inPrefix(source, family),
    destination: destination === undefined ? ANY : inPrefix(destination, family),
    set: set ?? null,
    protocol: protocol ?? null,
    port: side === 'd' ? readPort(port) : null,
    sourcePort: side === 's' ? readPort(port) : null,
    target: target === 'RETURN' ? 'RETURN' : 'REJECT',
  };
}

function takes(line: Line, flow: Flow, sets: ReadonlyMap<string, bigint[]>): boolean {
  const source = readAddress(flow.source);
  return (
    line.source(source) &&
    line.destination(readAddress(flow.destination)) &&
    (line.set === null || known(sets, line.set).includes(source.value)) &&
    (line.protocol === null || line.protocol === flow.protocol) &&
    (line.port === null || line.port === flow.port) &&
    (line.sourcePort === null || line.sourcePort === flow.sourcePort)
  );
}
