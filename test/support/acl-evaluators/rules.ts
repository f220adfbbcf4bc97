/**
 * What the readers of the platforms share: lines that must match a known form, and rules that are asked in order.
 *
 * No reader skips a line that it does not know: what a device would refuse must not pass here.
 */

import { type Address, type Flow, holds, readAddress, readNetwork, type Verdict } from './flow.ts';

export type Judge = (flow: Flow) => Verdict;
export type End = (address: Address) => boolean;

export interface Rule {
  readonly action: Verdict;
  /** Null is every protocol. */
  readonly protocol: string | null;
  readonly source: End;
  readonly destination: End;
  readonly sourcePort: number | null;
  readonly port: number | null;
}

export const ANY: End = () => true;

/** Addresses of the family only; a prefix of another family, or with host bits, is an error. */
export function inPrefix(text: string, family: 4 | 6): End {
  const network = readNetwork(text);
  if (network.family !== family) throw new Error(`not of this family: ${text}`);
  return (address) => holds(network, address);
}

/** An address with a mask; a set bit is compared (netmask) or not (wildcard). */
export function inMask(address: string, mask: string, wildcard: boolean): End {
  const network = readAddress(address);
  const bits = readAddress(mask);
  if (network.family !== 4 || bits.family !== 4) throw new Error(`not IPv4: ${address} ${mask}`);
  const compared = wildcard ? ~bits.value & 0xffffffffn : bits.value;
  return (other) => other.family === 4 && ((other.value ^ network.value) & compared) === 0n;
}

export function readPort(text: string): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65535) throw new Error(`not a port: ${text}`);
  return Number(text);
}

export function matches(rule: Rule, flow: Flow): boolean {
  return (
    (rule.protocol === null || rule.protocol === flow.protocol) &&
    rule.source(readAddress(flow.source)) &&
    rule.destination(readAddress(flow.destination)) &&
    (rule.sourcePort === null || rule.sourcePort === flow.sourcePort) &&
    (rule.port === null || rule.port === flow.port)
  );
}

/** The first rule that matches decides; `otherwise` where none does. */
export function firstMatch(rules: readonly Rule[], flow: Flow, otherwise: Verdict): Verdict {
  return rules.find((rule) => matches(rule, flow))?.action ?? otherwise;
}

export const familyOf = (flow: Flow) => readAddress(flow.source).family;

type Handler = readonly [RegExp, (match: RegExpExecArray) => void];

/** Hands each line to the first form that it matches as a whole; throws at a line that matches none. */
export function readLines(text: string, comment: string, handlers: readonly Handler[]): void {
  if (!text.endsWith('\n')) throw new Error('the last line has no end');
  for (const line of text.slice(0, -1).split('\n')) {
    if (line === '' || line.startsWith(comment)) continue;
    let known = false;
    for (const [form, handle] of handlers) {
      const match = form.exec(line);
      if (match === null || match[0].length !== line.length) continue;
      handle(match);
      known = true;
      break;
    }
    if (!known) throw new Error(`not a line of this platform: ${line}`);
  }
}

/** The words of remarks that may stand in a configuration. */
export const REMARK = '[A-Za-z0-9 ._:/,-]{1,100}';

export function once<T>(map: Map<string, T>, key: string, value: T): T {
  if (map.has(key)) throw new Error(`twice: ${key}`);
  map.set(key, value);
  return value;
}

export function known<T>(map: ReadonlyMap<string, T>, key: string): T {
  const value = map.get(key);
  if (value === undefined) throw new Error(`there is no ${key}`);
  return value;
}
