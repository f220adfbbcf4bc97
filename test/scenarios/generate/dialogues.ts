/**
 * Conversations with the packets of real programs: the cases of the mail lab (test/e2e/mail-lab), played again packet by packet.
 *
 * The lab's truth holds the payload of each packet of the median session of a case, and the packets and octets of both
 * halves of its first sessions. From the two follows everything but the time between packets: headers, lone ACKs of the
 * server, options of SYNs, selective ACKs and resets. Nothing about SMTP is made up here.
 */

import type { TruthCase } from '../../e2e/mail-lab/truth.ts';
import { readTruth } from '../mail-lab.ts';
import type { Chance } from './chance.ts';
import { ACK, FIN, headerBytes, PSH, RST, type Script, SYN } from './conversation.ts';

/** One session of a case of the lab. Octets throughout. */
export interface Dialogue {
  readonly name: string;
  readonly program: string;
  readonly kind: TruthCase['kind'];
  readonly tls: boolean;
  readonly ipv6: boolean;
  readonly timestamps: boolean;
  /** Payload of each packet after the SYN: the client's positive, or 0 for its lone ACKs; the server's negative. */
  readonly packets: readonly number[];
  /** The IP packet of the client's SYN. */
  readonly synBytes: number;
  /** Packets of the server without payload, beside its SYN-ACK. */
  readonly serverAcks: number;
  /** Packets at the end of each half that are resets: they show, since they have no timestamps. */
  readonly clientResets: number;
  readonly serverResets: number;
  /** What all other packets of a half have in options beyond these headers, as selective ACKs. */
  readonly clientOptions: number;
  readonly serverOptions: number;
  /** How long the session took, in milliseconds. */
  readonly ms: number;
  /** Where the message begins in `packets`, and what its packets carry together; -1 and 0 where there is none. */
  readonly bodyAt: number;
  readonly bodyBytes: number;
  /** Where the session resumes an earlier one over TLS, without certificates: the session that a new server gets. */
  readonly full: Dialogue | null;
}

/** What a session may be played with instead of what the lab saw. */
export interface Played {
  /** The message is stretched to so many octets, if it is smaller. */
  readonly bodyBytes?: number;
  /** A server that takes its time: so many milliseconds more before each of its answers. */
  readonly stallMs?: number;
}

/** What a packet with TCP timestamps is longer, and what a SYN with them is longer than later packets. */
const TIMESTAMPS = 12;
const SYN_MORE = 8;
/** The payload of a full segment with timestamps, and with the shortest headers, at an MTU of 1500. */
const MSS = 1448;
const BARE_SEGMENT = 1460;
/** A server's first flight over TLS with a certificate is larger than this. */
const CERTIFICATE_BYTES = 1000;
const V6_MORE = 20;
/** The lab's servers acknowledge every second full segment. */
const SEGMENTS_AN_ACK = 2;
/** Below this a session took as long as its packets were under way. */
const QUICK_MS = 3000;

let known: readonly Dialogue[] | undefined;

/** The cases of the lab that have a session with packets. */
export function labDialogues(): readonly Dialogue[] {
  known ??= readTruth()
    .filter(({ dialogue }) => dialogue.length > 0)
    .map(dialogueOf);
  return known;
}

/** A case in the form in which it is played. */
export function dialogueOf(each: TruthCase): Dialogue {
  const { dialogue: packets, kind, name, program } = each;
  const client = packets.filter((payload) => payload >= 0);
  const server = packets.filter((payload) => payload < 0);
  const sent = sum(client);
  const answered = -sum(server);
  const sameOctets = each.first.filter(({ forward, reply }) => forward[2] === sent && reply[2] === answered);
  // Hosts that did hundreds of sessions have the first eight in the truth, and not always the median one.
  const session = sameOctets.find(({ forward }) => forward[0] === 1 + client.length) ?? sameOctets[0];
  const { syn, ms, hello } = session ?? each.first[0];
  const ipv6 = each.family === 6;
  // Scanners that make packets of their own send no options, whatever their host's stack does.
  const timestamps = each.timestamps && syn >= headerBytes(true, ipv6) + SYN_MORE;
  const header = headerBytes(timestamps, ipv6);
  const [packetsOut, bytesOut] = session?.forward ?? [0, 0];
  const [packetsIn, bytesIn] = session?.reply ?? [0, 0];
  const clientMore = packetsOut === 1 + client.length ? bytesOut - header * client.length - sent - syn : 0;
  const serverMore = session === undefined ? 0 : bytesIn - header * (packetsIn - 1) - answered - syn;
  const resetsOf = (more: number) => (timestamps ? Math.max(0, Math.floor(-more / TIMESTAMPS)) : 0);
  // Its kernel knows nothing of the connection that a scanner begins by itself, and resets it.
  const isHalfOpen = !timestamps && server.length === 0 && sent === 0;
  const atEnd = client.length - 1 - client.findLastIndex((payload) => payload > 0);
  const clientResets = isHalfOpen ? client.length : Math.min(atEnd, resetsOf(clientMore));
  const serverResets = resetsOf(serverMore);
  return {
    name,
    program,
    kind,
    tls: each.security !== 'plain',
    ipv6,
    timestamps,
    packets,
    synBytes: syn,
    serverAcks: session === undefined ? 1 : Math.max(0, packetsIn - 1 - server.length),
    clientResets,
    serverResets,
    clientOptions: isHalfOpen ? 0 : clientMore + TIMESTAMPS * clientResets,
    serverOptions: serverMore + TIMESTAMPS * serverResets,
    ms,
    ...(kind === 'delivering' || kind === 'authorised'
      ? bodyOf(packets, hello)
      : { bodyAt: -1, bodyBytes: 0 }),
    full: session === undefined ? null : fullOf(each, session),
  };
}

/**
 * The session with certificates that came before a resumed one. The lab has its totals, and not its packets: they are those of the
 * resumed session with a shorter hello, and with the certificates behind it.
 */
function fullOf(each: TruthCase, resumed: TruthCase['first'][number]): Dialogue | null {
  if (resumed.hello === 0 || resumed.handshake >= CERTIFICATE_BYTES) return null;
  const full = each.first.find(({ handshake }) => handshake >= CERTIFICATE_BYTES);
  const helloAt = each.dialogue.findIndex((payload) => payload >= resumed.hello);
  if (full === undefined || helloAt < 0) return null;
  const longer = full.reply[2] - resumed.reply[2];
  const flight = Array.from({ length: Math.ceil(longer / MSS) }, (_, n) => -Math.min(MSS, longer - n * MSS));
  const acks = full.forward[0] - 1 - each.dialogue.filter((payload) => payload >= 0).length;
  const before = each.dialogue.slice(0, helloAt);
  const after = each.dialogue.slice(helloAt + 1);
  const spare = after.flatMap((payload, at) => (payload === 0 ? [at] : [])).slice(0, Math.max(0, -acks));
  const lone = Array<number>(Math.max(0, acks)).fill(0);
  const dialogue = [
    ...before,
    each.dialogue[helloAt] + full.forward[2] - resumed.forward[2],
    ...flight,
    ...lone.slice(0, flight.length),
    ...after.filter((_, at) => !spare.includes(at)),
    ...lone.slice(flight.length),
  ];
  return dialogueOf({ ...each, dialogue, first: [full] });
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

/** The message: of all that the client says without an answer in between, after its TLS hello, the largest. */
function bodyOf(packets: readonly number[], hello: number): Pick<Dialogue, 'bodyAt' | 'bodyBytes'> {
  let bodyAt = -1;
  let bodyBytes = 0;
  let helloLeft = hello;
  for (let at = 0; at < packets.length; ) {
    let to = at;
    let bytes = 0;
    while (to < packets.length && packets[to] >= 0) bytes += packets[to++];
    if (helloLeft > 0 && bytes >= helloLeft) helloLeft = 0;
    else if (helloLeft === 0 && bytes > bodyBytes) {
      bodyAt = at;
      bodyBytes = bytes;
    }
    at = to + 1;
  }
  return { bodyAt, bodyBytes };
}

/** Plays a session from SYN to FIN. Its packets are the lab's; its path is longer or shorter. */
export function play(s: Script, chance: Chance, dialogue: Dialogue, how: Played = {}): void {
  const { packets, synBytes, serverAcks, clientResets, serverResets, bodyAt, bodyBytes } = dialogue;
  const { timestamps, ipv6, ms } = dialogue;
  s.timestamps = timestamps;
  s.isSession = true;
  s.carriesMessage = bodyAt >= 0;
  const synMore = synBytes - headerBytes(timestamps, ipv6);
  const pace = ms < QUICK_MS ? chance.between(20, 450) / 100 : 1;
  const stepMs = (pace * ms) / (packets.length + 2);
  const reset = timestamps ? -TIMESTAMPS : 0;

  s.client(synMore, SYN);
  s.wait(stepMs);
  // Options that only some of the server's packets have are put into its SYN-ACK.
  s.server(synMore + dialogue.serverOptions, SYN | ACK);
  s.wait(stepMs);

  const spoken = packets.reduce((count, payload) => count + (payload >= 0 ? 1 : 0), 0);
  const clientFin = spoken - clientResets;
  const serverFin = serverAcks - serverResets;
  const lastAnswer = serverFin > 0 ? -1 : packets.findLastIndex((payload) => payload < 0);
  let options = dialogue.clientOptions;
  let said = 0;
  let acks = 0;
  for (let at = 0; at < packets.length; at++) {
    if (at === bodyAt) stretch(s, (how.bodyBytes ?? 0) - bodyBytes);
    const payload = packets[at];
    if (payload < 0) {
      s.wait(how.stallMs ?? 0);
      s.server(-payload, PSH | ACK | (at === lastAnswer ? FIN : 0));
    } else if (++said > clientFin) {
      s.client(reset, RST);
    } else {
      // Selective ACKs stand in lone ACKs.
      const more = payload === 0 && said > 1 ? options : 0;
      options -= more;
      s.client(payload + more, (payload === 0 ? ACK : PSH | ACK) | (said === clientFin ? FIN : 0));
    }
    s.wait(stepMs);
    // The server's lone ACKs are spread over what the client says.
    const due = payload < 0 ? acks : Math.floor(((serverFin - 1) * said) / spoken);
    for (; acks < due; acks++) s.server(0, ACK);
  }
  if (serverFin > 0) s.server(0, FIN | ACK);
  for (let n = 0; n < serverResets; n++) s.server(reset, RST);
}

/** More of a message, in full segments, with the ACKs that the lab's servers sent for theirs. */
function stretch(s: Script, bytes: number): void {
  const segment = BARE_SEGMENT - (s.timestamps ? TIMESTAMPS : 0) - (s.ipv6 ? V6_MORE : 0);
  let left = bytes;
  for (let n = 1; left > 0; n++) {
    s.client(Math.min(left, segment), ACK);
    left -= segment;
    if (n % SEGMENTS_AN_ACK === 0) s.server(0, ACK);
    s.wait(1);
  }
}

/** The n-th of some cases, so that one host after the other gets cases that are far apart, and each case its turn. */
export function spread<Item>(cases: readonly Item[], n: number): Item {
  let stride = Math.max(1, Math.floor(0.618 * cases.length));
  while (commonDivisor(stride, cases.length) > 1) stride++;
  return cases[(n * stride) % cases.length];
}

function commonDivisor(a: number, b: number): number {
  return b === 0 ? a : commonDivisor(b, a % b);
}
