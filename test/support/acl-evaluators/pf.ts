/** What pf does with our anchor: the last rule that matches decides, a `quick` one at once; without any, it is not ours. */

import { type Flow, readAddress, type Verdict } from './flow.ts';
import { type End, familyOf, inPrefix, type Judge, known, readPort } from './rules.ts';

interface Rule {
  readonly action: Verdict;
  readonly quick: boolean;
  readonly face: string | null;
  readonly family: 4 | 6 | null;
  readonly protocol: string | null;
  readonly source: End;
  readonly destination: End;
  readonly port: number | null;
}

const FORM =
  /^(block return|block drop|pass)(?: (in|out))?( quick)?(?: on (\S+))?(?: (inet6?))?(?: proto (tcp|udp))? from (any|(?:! )?<\w{1,31}>|\S+) to (any|(?:! )?<\w{1,31}>|\S+)(?: port (\d+))?$/;

export function readPf(text: string): Judge {
  const tables = new Map<string, readonly End[]>();
  const rules: Rule[] = [];
  const lines = text.split('\n').filter((line) => line !== '' && !line.trim().startsWith('#'));
  for (let at = 0; at < lines.length; at++) {
    const opening = /^table <(\w{1,31})> persist( \{)?$/.exec(lines[at]);
    if (opening === null) {
      rules.push(readRule(lines[at], tables));
      continue;
    }
    const members: End[] = [];
    if (opening[2] !== undefined) {
      for (at++; lines[at] !== '}'; at++) {
        if (at >= lines.length) throw new Error('a table is not closed');
        const prefix = /^\t(\S+\/\d+)$/.exec(lines[at]);
        if (prefix === null) throw new Error(`not a member: ${lines[at]}`);
        members.push(inPrefix(prefix[1], prefix[1].includes(':') ? 6 : 4));
      }
      if (members.length === 0) throw new Error('braces around nothing');
    }
    tables.set(opening[1], members);
  }
  return (flow) => {
    let verdict: Verdict = 'permit';
    for (const rule of rules) {
      if (!takes(rule, flow)) continue;
      verdict = rule.action;
      if (rule.quick) break;
    }
    return verdict;
  };
}

function readRule(line: string, tables: ReadonlyMap<string, readonly End[]>): Rule {
  const found = FORM.exec(line);
  if (found === null) throw new Error(`not a rule: ${line}`);
  const [, action, direction, quick, face, inet, protocol, from, to, port] = found;
  if (direction !== 'in') throw new Error('not for incoming packets');
  // It would take the packets past the rules of the operator.
  if (action === 'pass' && quick !== undefined) throw new Error('passes for good');
  // A later rule of the operator that passes would win.
  if (action !== 'pass' && quick === undefined) throw new Error('blocks until the next rule');
  if (port !== undefined && protocol === undefined) throw new Error('a port without a protocol');
  const end = (text: string): End => {
    if (text === 'any') return () => true;
    const table = /^(! )?<(\w+)>$/.exec(text);
    if (table === null) return inPrefix(text, text.includes(':') ? 6 : 4);
    // pfctl takes a table that is not there, and it matches nothing.
    const members = known(tables, table[2]);
    return (address) => members.some((one) => one(address)) === (table[1] === undefined);
  };
  return {
    action: action === 'pass' ? 'permit' : 'deny',
    quick: quick !== undefined,
    face: face ?? null,
    family: inet === undefined ? null : inet === 'inet' ? 4 : 6,
    protocol: protocol ?? null,
    source: end(from),
    destination: end(to),
    port: port === undefined ? null : readPort(port),
  };
}

function takes(rule: Rule, flow: Flow): boolean {
  return (
    (rule.face === null || rule.face === flow.from) &&
    (rule.family === null || rule.family === familyOf(flow)) &&
    (rule.protocol === null || rule.protocol === flow.protocol) &&
    rule.source(readAddress(flow.source)) &&
    rule.destination(readAddress(flow.destination)) &&
    (rule.port === null || rule.port === flow.port)
  );
}
