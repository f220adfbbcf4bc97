/** What the hosts of the lab really did, case by case. */

import type { Case } from './cases/case.ts';
import { CASES, caseAddress, isHeldOut } from './cases.ts';
import type { LabResult } from './lab.ts';
import type { Half, Session } from './packets.ts';

interface TruthSession {
  readonly start: string;
  readonly ms: number;
  readonly server: string;
  /** Packets, bytes of IP, payload, payload without what was sent again. */
  readonly forward: readonly [number, number, number, number];
  readonly reply: readonly [number, number, number, number];
  /** The client's packets after the SYN by payload: none, up to 100 bytes, up to 600, more. */
  readonly sizes: readonly number[];
  /** IP and TCP headers of the client's SYN, and its smallest packet after it. */
  readonly syn: number;
  readonly smallest: number;
  readonly hello: number;
  readonly handshake: number;
  readonly delivered: number;
}

type Described = Pick<
  Case,
  'name' | 'program' | 'kind' | 'security' | 'server' | 'family' | 'timestamps' | 'path'
>;

export interface TruthCase extends Described {
  readonly host: string;
  /** Set aside: no bound may be set by what this case shows. */
  readonly aside: boolean;
  readonly sessions: number;
  readonly deliveries: number;
  /** Payload of each packet of the median session after its SYN: the client's as it is, 0 for a lone ACK; the server's below zero, without its lone ACKs. */
  readonly dialogue: readonly number[];
  /** The first sessions. */
  readonly first: readonly TruthSession[];
}

const SHOWN = 8;
const DIALOGUE_SHOWN = 200;

/** By the client's payload. */
function median(sessions: readonly Session[]): Session | undefined {
  const sorted = [...sessions].sort((a, b) => a.forward.payload - b.forward.payload);
  return sorted[Math.floor(sorted.length / 2)];
}

export function makeTruth(chosen: readonly Case[], result: LabResult): TruthCase[] {
  return chosen.map((mail) => {
    const host = caseAddress(CASES.indexOf(mail));
    const sessions = result.sessions.filter(({ client }) => client === host);
    const deliveries = result.deliveries.filter(({ client }) => client === host);
    const { name, program, kind, security, server, family, timestamps, path } = mail;
    return {
      host,
      name,
      program,
      kind,
      security,
      server,
      family,
      timestamps,
      path,
      aside: isHeldOut(name),
      sessions: sessions.length,
      deliveries: deliveries.length,
      dialogue: median(sessions)?.dialogue.slice(0, DIALOGUE_SHOWN) ?? [],
      first: sessions.slice(0, SHOWN).map((session) => describe(session, deliveries)),
    };
  });
}

function describe(session: Session, deliveries: readonly { readonly timeMs: number }[]): TruthSession {
  const counts = (half: Half) => [half.packets, half.bytes, half.payload, half.fresh] as const;
  return {
    start: new Date(session.startMs).toISOString(),
    ms: session.endMs - session.startMs,
    server: session.server,
    forward: counts(session.forward),
    reply: counts(session.reply),
    sizes: session.forward.sizes,
    syn: session.synBytes,
    smallest: session.smallest,
    hello: session.hello,
    handshake: session.handshake,
    // Agents' logs are exact to the second.
    delivered: deliveries.filter(
      ({ timeMs }) => timeMs >= session.startMs - 1000 && timeMs <= session.endMs + 500,
    ).length,
  };
}
