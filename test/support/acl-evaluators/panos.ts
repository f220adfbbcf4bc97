/** What PAN-OS does with our commands after the commit: the moved rules first; what they do not deny is for the others. */

import { type Flow, readAddress } from './flow.ts';
import { type End, familyOf, inPrefix, type Judge, known, once, readLines, readPort } from './rules.ts';

interface Rule {
  readonly zone: string;
  readonly sources: readonly string[];
  readonly destinations: readonly string[];
  readonly port: number;
  negateSource: boolean;
  negateDestination: boolean;
  moved: boolean;
}

const LIST = '(any|\\[ \\S+(?: \\S+)* \\])';

export function readPanos(text: string): Judge {
  const deleted = new Set<string>();
  const services = new Map<string, number>();
  const addresses = new Map<string, string>();
  const groups = new Map<string, readonly string[]>();
  const rules = new Map<string, Rule>();
  const listOf = (words: string) => (words === 'any' ? [] : words.slice(2, -2).split(' '));
  readLines(text, '#', [
    [/^delete rulebase security rules (\S+)$/, ([, name]) => void deleted.add(name)],
    [
      /^set service (\S{1,63}) protocol tcp port (\d+)$/,
      ([, name, port]) => void once(services, name, readPort(port)),
    ],
    [
      /^set address ([A-Za-z0-9._-]{1,63}) ip-netmask (\S+\/\d+)$/,
      ([, name, prefix]) => void once(addresses, name, prefix),
    ],
    [
      /^set address-group ([A-Za-z0-9._-]{1,63}) static (\[ .+ \])$/,
      ([, name, members]) => {
        for (const member of listOf(members)) known(addresses, member);
        once(groups, name, listOf(members));
      },
    ],
    [
      new RegExp(
        `^set rulebase security rules ([A-Za-z0-9._-]{1,63}) from (\\S+) to any source ${LIST} destination ${LIST} application any service (\\S+) action deny$`,
      ),
      ([, name, zone, sources, destinations, service]) => {
        // `set` adds to what is there.
        if (!deleted.has(name)) throw new Error(`what ${name} was before would stay`);
        once(rules, name, {
          zone,
          sources: listOf(sources),
          destinations: listOf(destinations),
          port: known(services, service),
          negateSource: false,
          negateDestination: false,
          moved: false,
        });
      },
    ],
    [
      /^set rulebase security rules (\S+) negate-(source|destination) (yes|no)$/,
      ([, name, end, word]) => {
        known(rules, name)[end === 'source' ? 'negateSource' : 'negateDestination'] = word === 'yes';
      },
    ],
    [
      /^move rulebase security rules (\S+) top$/,
      ([, name]) => {
        known(rules, name).moved = true;
      },
    ],
  ]);
  const end = (names: readonly string[], negate: boolean): End => {
    const prefixes = names.flatMap((group) => known(groups, group)).map((name) => known(addresses, name));
    const ends = prefixes.map((prefix) => inPrefix(prefix, prefix.includes(':') ? 6 : 4));
    return (address) => (names.length === 0 ? !negate : ends.some((one) => one(address)) !== negate);
  };
  const families = new Set([...addresses.values()].map((prefix) => (prefix.includes(':') ? 6 : 4)));
  return (flow: Flow) =>
    families.has(familyOf(flow)) &&
    flow.protocol === 'tcp' &&
    [...rules.values()].some(
      (rule) =>
        rule.moved &&
        rule.port === flow.port &&
        (rule.zone === 'any' || rule.zone === flow.from) &&
        end(rule.sources, rule.negateSource)(readAddress(flow.source)) &&
        end(rule.destinations, rule.negateDestination)(readAddress(flow.destination)),
    )
      ? 'deny'
      : 'permit';
}
