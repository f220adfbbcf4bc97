/**
 * What the kernel threw away: the UDP sockets of the system with their drop counters, from /proc/net/udp and udp6.
 *
 * Loss before the program ever sees a datagram is loss all the same; without these counters it would be silent. Only
 * Linux has them; elsewhere nothing is known, and nothing is claimed.
 */

import { readdir, readFile, readlink } from 'node:fs/promises';
import { formatAddress } from '../flow/address.ts';

export interface UdpSocketEntry {
  readonly family: 4 | 6;
  /** Local address as text; an IPv4 address of an IPv6 socket is dotted. */
  readonly address: string;
  readonly port: number;
  readonly inode: number;
  /** Datagrams dropped since the socket was opened, modulo 2^32. */
  readonly drops: number;
}

/** All UDP sockets of the network namespace; empty where there is no /proc. */
export async function readUdpSockets(): Promise<UdpSocketEntry[]> {
  const [v4, v6] = await Promise.all(
    ['/proc/net/udp', '/proc/net/udp6'].map((path) => readFile(path, 'latin1').catch(() => '')),
  );
  return [...parseUdpSockets(v4, 4), ...parseUdpSockets(v6, 6)];
}

/** Inodes of the sockets that this process holds; none where there is no /proc. */
export async function socketsOfProcess(): Promise<ReadonlySet<number>> {
  const descriptors = await readdir('/proc/self/fd').catch(() => []);
  return new Set(await Promise.all(descriptors.map((fd) => socketInode(Number(fd)))));
}

/** 0, which no socket has, when the descriptor is none. */
export async function socketInode(fd: number): Promise<number> {
  const link = await readlink(`/proc/self/fd/${fd}`).catch(() => '');
  return Number(/^socket:\[(\d+)\]$/.exec(link)?.[1] ?? 0);
}

/** `sl: ADDRESS:PORT REMOTE st queues timer retransmits uid timeout inode ref pointer drops` */
const LINE = /^\s*\d+:\s+([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4})\s(.*)$/i;
/** Fields behind the local address. */
const INODE_FIELD = 7;
const DROPS_FIELD = 10;

/** Lines that are not of the known form are left out (the first is the header). */
export function parseUdpSockets(text: string, family: 4 | 6): UdpSocketEntry[] {
  const entries: UdpSocketEntry[] = [];
  for (const line of text.split('\n')) {
    const match = LINE.exec(line);
    if (match === null || (match[1].length === 32) !== (family === 6)) continue;
    const fields = match[3].trim().split(/\s+/);
    const inode = Number(fields[INODE_FIELD]);
    const drops = Number(fields[DROPS_FIELD]);
    if (!Number.isInteger(inode) || !Number.isInteger(drops)) continue;
    entries.push({
      family,
      address: formatKernelAddress(match[1]),
      port: Number.parseInt(match[2], 16),
      inode,
      drops: drops >>> 0,
    });
  }
  return entries;
}

/** The kernel prints each 32-bit word of an address, which lies in network order, as a number of the machine's order. */
function formatKernelAddress(hex: string): string {
  const words = Buffer.from(hex, 'hex');
  for (let at = 0; at < words.length; at += 4) words.subarray(at, at + 4).reverse();
  if (words.length === 16) return formatAddress(words);
  return words.join('.');
}
