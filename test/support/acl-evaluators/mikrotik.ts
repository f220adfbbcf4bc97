/** What RouterOS does when it imports our script on a router that has no rules: the script is run, line by line. */

import { type Flow, readAddress } from './flow.ts';
import { ANY, type End, familyOf, inPrefix, type Judge, REMARK, readPort } from './rules.ts';

interface Rule {
  readonly chain: string;
  readonly action: string;
  readonly target: string | undefined;
  readonly list: string | undefined;
  readonly face: string | undefined;
  readonly protocol: string | undefined;
  readonly source: End;
  readonly destination: End;
  readonly port: number | undefined;
  readonly sourcePort: number | undefined;
  readonly disabled: boolean;
}

const WORD = new RegExp(`^([a-z-]+)=(?:"([A-Za-z0-9._/:-]+)"|([A-Za-z0-9./:-]+)|"(${REMARK})")$`);

export function readMikrotik(text: string): Judge {
  const lists = new Map<string, End[]>();
  const rules: Rule[] = [];
  const menus: string[] = [];
  let family: 4 | 6 | null = null;
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  const inMenu = (menu: string) => {
    if (!menus.at(-1)?.endsWith(menu)) throw new Error(`in the wrong menu: ${menus.at(-1)}`);
  };
  let at = 0;
  const expect = (form: RegExp) => {
    const found = form.exec(lines[at] ?? '');
    if (found === null) throw new Error(`not expected: ${lines[at]}`);
    at++;
    return found;
  };
  const addRule = (words: string) => {
    inMenu(' firewall filter');
    if (family === null) throw new Error('no menu');
    rules.push(readRule(words, family));
  };
  while (at < lines.length) {
    const line = lines[at++];
    const menu = /^\/(ip|ipv6) firewall (address-list|filter)$/.exec(line);
    const entry = new RegExp(
      `^:do \\{ add list="([A-Za-z0-9_-]+)" address=(\\S+/\\d+)(?: comment="${REMARK}")? \\} on-error=\\{\\}$`,
    ).exec(line);
    const chain = /^:if \(\[:len \[find chain="(\S+)"\]\] != (\d+)\) do=\{$/.exec(line);
    const count =
      /^:if \(\[:len \[\/ipv?6? firewall (address-list find list|filter find chain)="(\S+)"\]\] != (\d+)\) do=\{ :error "[^"]+" \}$/.exec(
        line,
      );
    const tagged = /^:if \(\[:len \[find comment="([^"]+)"\]\] = 0\) do=\{$/.exec(line);
    const removal =
      /^\/ipv?6? firewall (?:address-list remove \[find list|filter remove \[find chain)~"\^(\S+-)" (?:list|chain)!="(\S+)"\]$/.exec(
        line,
      );
    if (menu !== null) {
      const of = menu[1] === 'ip' ? 4 : 6;
      if (family !== null && family !== of) throw new Error('of another family');
      family = of;
      menus.push(line);
    } else if (entry !== null) {
      inMenu(' firewall address-list');
      // Of IPv4 we mean single hosts only; of IPv6 a list may hold networks, too.
      const lengths = family === 4 ? /\/32$/ : /\/(?:6[4-9]|[7-9]\d|1[01]\d|12[0-8])$/;
      if (family === null || !lengths.test(entry[2])) throw new Error(`too wide: ${entry[2]}`);
      const list = lists.get(entry[1]) ?? [];
      list.push(inPrefix(entry[2], family));
      lists.set(entry[1], list);
    } else if (chain !== null) {
      expect(new RegExp(`^  remove \\[find chain="${chain[1]}"\\]$`));
      while (lines[at] !== '}') addRule(expect(new RegExp(`^  add (chain="${chain[1]}" .+)$`))[1]);
      at++;
    } else if (count !== null) {
      const found = count[1].startsWith('address')
        ? (lists.get(count[2])?.length ?? 0)
        : rules.filter((rule) => rule.chain === count[2]).length;
      if (found !== Number(count[3])) throw new Error('incomplete');
    } else if (tagged !== null) {
      const made = expect(
        /^ {2}:do \{ add (.+) place-before=\[:pick \[find dynamic=no\] 0\] \} on-error=\{ add (.+) \}$/,
      );
      if (made[1] !== made[2]) throw new Error('made differently');
      expect(/^\} else=\{$/);
      const turned = expect(/^ {2}set \[find comment="([^"]+)"\] (.+)$/);
      if (
        turned[1] !== tagged[1] ||
        !made[1].includes(turned[2]) ||
        !made[1].endsWith(` comment="${tagged[1]}"`)
      )
        throw new Error('turned differently');
      expect(/^\}$/);
      addRule(made[1]);
    } else if (
      /^\/ipv?6? firewall filter remove \[find (?:comment="rogue-smtp offenders[A-Za-z0-9 ._/:-]* to"|chain~"\^smtp-offenders\S*-to-")\]$/.test(
        line,
      )
    ) {
      // On a router without rules there is nothing to remove.
    } else if (removal !== null) {
      if (!removal[2].startsWith(removal[1])) throw new Error('it would not find its own');
    } else {
      throw new Error(`not a line of this platform: ${line}`);
    }
  }
  const takes = (rule: Rule, flow: Flow) =>
    !rule.disabled &&
    (rule.face === undefined || rule.face === flow.from) &&
    (rule.protocol === undefined || rule.protocol === flow.protocol) &&
    rule.source(readAddress(flow.source)) &&
    rule.destination(readAddress(flow.destination)) &&
    (rule.list === undefined || (lists.get(rule.list) ?? []).some((end) => end(readAddress(flow.source)))) &&
    (rule.port === undefined || rule.port === flow.port) &&
    (rule.sourcePort === undefined || rule.sourcePort === flow.sourcePort);
  const walk = (chain: string, flow: Flow): 'deny' | null => {
    for (const rule of rules.filter((one) => one.chain === chain && takes(one, flow))) {
      if (rule.action === 'return') return null;
      if (rule.action === 'reject') return 'deny';
      if (rule.target === undefined || !rules.some((one) => one.chain === rule.target))
        throw new Error('jumps nowhere');
      if (walk(rule.target, flow) === 'deny') return 'deny';
    }
    return null;
  };
  if (!rules.some((rule) => rule.chain === 'forward')) throw new Error('nothing is in forward');
  return (flow) => (familyOf(flow) === family ? (walk('forward', flow) ?? 'permit') : 'permit');
}

function readRule(text: string, family: 4 | 6): Rule {
  const words = new Map<string, string>();
  const pairs = text.match(/[a-z-]+=(?:"[^"]*"|\S+)/g) ?? [];
  if (pairs.join(' ') !== text) throw new Error(`not understood: ${text}`);
  for (const word of pairs) {
    const found = WORD.exec(word);
    if (found === null) throw new Error(`not a word: ${word}`);
    if (words.has(found[1])) throw new Error(`twice: ${word}`);
    words.set(found[1], found[2] ?? found[3] ?? found[4]);
  }
  const take = (name: string) => {
    const value = words.get(name);
    words.delete(name);
    return value;
  };
  const end = (prefix: string | undefined): End => {
    if (prefix === undefined) return ANY;
    if (!prefix.includes('/')) throw new Error(`no prefix length: ${prefix}`);
    return inPrefix(prefix, family);
  };
  take('comment');
  const [port, sourcePort, reset] = [take('dst-port'), take('src-port'), take('reject-with')];
  const rule = {
    chain: take('chain') ?? '',
    action: take('action') ?? '',
    target: take('jump-target'),
    list: take('src-address-list'),
    face: take('in-interface'),
    protocol: take('protocol'),
    source: end(take('src-address')),
    destination: end(take('dst-address')),
    port: port === undefined ? undefined : readPort(port),
    sourcePort: sourcePort === undefined ? undefined : readPort(sourcePort),
    disabled: take('disabled') === 'yes',
  };
  if (words.size > 0) throw new Error(`not a word: ${[...words.keys()].join(' ')}`);
  if (!['reject', 'return', 'jump'].includes(rule.action)) throw new Error(`not an action: ${rule.action}`);
  if (rule.port !== undefined && rule.protocol === undefined) throw new Error('a port without a protocol');
  if (reset !== undefined && rule.protocol !== 'tcp') throw new Error('a reset without tcp');
  return rule;
}
