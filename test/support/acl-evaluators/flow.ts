/**
 * Connections to judge, and addresses as numbers: the part that the text evaluators share.
 *
 * None of it comes from src: an evaluator that reads addresses with the generator's code would repeat its mistakes.
 */

export interface Flow {
  readonly protocol: 'tcp' | 'udp';
  readonly source: string;
  readonly destination: string;
  readonly sourcePort: number;
  readonly port: number;
  /** The interface that the packet comes in by; `SELF` for what the router sends itself. */
  readonly from: string;
}

export const SELF = 'self';
/** What goes to the router itself leaves by loopback. */
export const isLoopback = (address: string): boolean => address.startsWith('127.') || address === '::1';

export type Verdict = 'permit' | 'deny';

export interface Address {
  readonly family: 4 | 6;
  readonly value: bigint;
}

export interface Network extends Address {
  readonly bits: number;
}

/** Throws on anything but a full literal. */
export function readAddress(text: string): Address {
  return text.includes(':') ? { family: 6, value: readIPv6(text) } : { family: 4, value: readIPv4(text) };
}

function readIPv4(text: string): bigint {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) < 256))
    throw new Error(`not an IPv4 address: ${text}`);
  return parts.reduce((value, part) => value * 256n + BigInt(part), 0n);
}

function readIPv6(text: string): bigint {
  const halves = text.split('::');
  if (halves.length > 2) throw new Error(`not an IPv6 address: ${text}`);
  const [head, tail] = halves.map((half) => (half === '' ? [] : half.split(':')));
  const missing = 8 - head.length - (tail?.length ?? 0);
  if (tail === undefined ? missing !== 0 : missing < 1) throw new Error(`not an IPv6 address: ${text}`);
  const groups = [...head, ...Array<string>(tail === undefined ? 0 : missing).fill('0'), ...(tail ?? [])];
  if (!groups.every((group) => /^[0-9A-Fa-f]{1,4}$/.test(group)))
    throw new Error(`not an IPv6 address: ${text}`);
  return groups.reduce((value, group) => value * 65536n + BigInt(`0x${group}`), 0n);
}

/** An address or `address/length`; host bits that are set are an error, as in some devices. */
export function readNetwork(text: string): Network {
  const [literal, length] = text.split('/');
  const address = readAddress(literal);
  const width = address.family === 4 ? 32 : 128;
  const bits = length === undefined ? width : Number(length);
  if (!(Number.isInteger(bits) && bits >= 0 && bits <= width)) throw new Error(`not a prefix: ${text}`);
  if (address.value & ((1n << BigInt(width - bits)) - 1n)) throw new Error(`host bits are set: ${text}`);
  return { ...address, bits };
}

export function holds(network: Network, address: Address): boolean {
  const width = network.family === 4 ? 32 : 128;
  const shift = BigInt(width - network.bits);
  return network.family === address.family && network.value >> shift === address.value >> shift;
}
