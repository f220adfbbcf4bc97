/**
 * The traffic of whole-path runs: what routers would export of a network with rogue hosts, and who is rogue in it.
 *
 * Two exporters send at a fixed rate, v5 to the first collector and IPFIX to the second: web traffic, a mail server, and
 * hosts that send mail from the beginning. A third brings a new rogue host every second, so that hosts begin in the middle
 * of whatever fault there is. Every flow has a sequence number, so that none can be lost or stored twice unseen.
 */

import { createSocket } from 'node:dgram';
import type { ExportPool } from '../bench/exports.ts';
import {
  type Field,
  integer,
  ipfix,
  set,
  TUPLE,
  template,
  tuple,
  UPTIME_MS,
  type V5Flow,
  v5,
} from './datagrams.ts';
import { type RandomBelow, randomBelow } from './random.ts';

export const MAIL_SERVER = '10.0.0.25';
const RECORDS = 30;
/** So many different ones that neither what is stored nor what is sent compresses by their repetition. */
const DATAGRAMS = 4000;
/** So many rogue hosts send from the beginning. */
const STEADY_ROGUES = 40;
/** Of the datagrams, one in so many brings the template, as exporters send it again and again. */
const TEMPLATE_EVERY = 60;

/** Of the records of a datagram: one of a rogue host, one of the mail server, the others of 15,000 hosts that surf. */
function flowsOf(datagram: number, random: RandomBelow): V5Flow[] {
  return Array.from({ length: RECORDS }, (_, i) => {
    const packets = 1 + random(100);
    const last = UPTIME_MS - random(5000);
    const measured = { packets, bytes: packets * (40 + random(1400)), first: last - random(60_000), last };
    if (i >= 2)
      return {
        ...measured,
        src: `10.0.${2 + random(60)}.${1 + random(250)}`,
        dst: `198.18.${random(256)}.${1 + random(250)}`,
        srcPort: 1024 + random(60_000),
        dstPort: [443, 443, 443, 80][random(4)],
      };
    return {
      ...measured,
      src: i === 0 ? `10.0.1.${1 + (datagram % STEADY_ROGUES)}` : MAIL_SERVER,
      dst: `198.51.100.${1 + ((datagram * 7 + i) % 250)}`,
      srcPort: 20_000 + datagram,
      dstPort: 25,
      packets: 12 + packets,
      bytes: 4000 + measured.bytes,
      flags: 0x1b,
    };
  });
}

const FIELDS: readonly Field[] = [...TUPLE, [152, 8], [153, 8]];
const TEMPLATE_ID = 300;

function ipfixRecord({ src, dst, srcPort, dstPort, packets, bytes }: V5Flow): Buffer {
  const now = Date.now();
  return Buffer.concat([
    tuple(src, dst, srcPort, dstPort, packets, bytes),
    integer(now - 2000, 8),
    integer(now - 1000, 8),
  ]);
}

/** Each datagram of the round is another, and the sender numbers them on from round to round. */
export function createLoad(): { readonly v5: ExportPool; readonly ipfix: ExportPool } {
  const random = randomBelow(1);
  const flows = Array.from({ length: DATAGRAMS }, (_, i) => flowsOf(i, random));
  return {
    v5: {
      name: 'v5',
      version: 'v5',
      records: RECORDS,
      templates: [],
      datagrams: flows.map((of) => v5(of)),
      sequenceOffset: 16,
      sequenceStep: RECORDS,
    },
    ipfix: {
      name: 'ipfix',
      version: 'ipfix',
      records: RECORDS,
      templates: [],
      datagrams: flows.map((of, i) => {
        const data = set(TEMPLATE_ID, ...of.map(ipfixRecord));
        return ipfix(i % TEMPLATE_EVERY === 0 ? [set(2, template(TEMPLATE_ID, FIELDS)), data] : [data]);
      }),
      sequenceOffset: 8,
      sequenceStep: RECORDS,
    },
  };
}

export const steadyRogues = (): string[] =>
  Array.from({ length: STEADY_ROGUES }, (_, i) => `10.0.1.${i + 1}`);

export interface Newcomers {
  /** Hosts so far, and when the first record of each was sent, in ms since the epoch. */
  readonly begun: ReadonlyMap<string, number>;
  readonly flows: () => number;
  stop(): Promise<void>;
}

/** Newcomers go on for so long, since a collector that is away sees nothing of a host. */
const SESSIONS = 4;
const SESSION_EVERY_MS = 8000;

/** Starts an exporter that brings a new rogue host every `everyMs`, each of several sessions, two records each. */
export function startNewcomers(port: number, everyMs: number): Newcomers {
  const socket = createSocket('udp4');
  const begun = new Map<string, number>();
  const timers = new Set<NodeJS.Timeout>();
  let sequence = 0;
  let waiting = 0;

  /** Two records of a session in two datagrams: one by itself never leads to a block. */
  function send(host: string, session: number): void {
    for (let part = 0; part < 2; part++) {
      const flow: V5Flow = {
        src: host,
        dst: `203.0.113.${1 + session}`,
        srcPort: 30_000 + session,
        dstPort: 25,
        packets: 12,
        bytes: 4000,
        flags: 0x1b,
      };
      waiting++;
      socket.send(v5([flow], { sequence: sequence++, engine: 9 }), port, '127.0.0.1', () => waiting--);
    }
  }

  function bring(): void {
    const host = `10.1.${begun.size >> 8}.${begun.size & 255}`;
    begun.set(host, Date.now());
    for (let session = 0; session < SESSIONS; session++) {
      const timer = setTimeout(() => {
        timers.delete(timer);
        send(host, session);
      }, session * SESSION_EVERY_MS);
      timers.add(timer);
    }
  }

  const bringing = setInterval(bring, everyMs);
  return {
    begun,
    flows: () => sequence,
    async stop() {
      clearInterval(bringing);
      while (timers.size > 0 || waiting > 0) await new Promise((resolve) => setTimeout(resolve, 100));
      socket.close();
    },
  };
}
