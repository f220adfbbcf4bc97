/**
 * Which cases of the mail lab each role plays: what program a host runs, and how large its messages are.
 *
 * A host runs one program for ever, as hosts do. Which one is no matter of taste: each case that fits has its turn, and
 * the same weight. The sizes of messages beyond the lab's own are the only figures here that nobody has measured.
 */

import type { Chance } from './chance.ts';
import type { Script } from './conversation.ts';
import { type Dialogue, labDialogues, type Played, play, spread } from './dialogues.ts';
import type { Actor, Endpoint, Role } from './network.ts';

const SECOND = 1000;
/** Mail transfer agents; any other program that delivers is a library, a client of the command line, or a bot. */
const AGENTS: readonly string[] = ['postfix', 'exim', 'smtp-source'];
/** A scan that stops at the handshake says nothing: its packets are few. */
const HANDSHAKE_PACKETS = 2;

interface Pools {
  /** What a rogue host sends: all that delivers, whatever the program. */
  readonly delivering: readonly Dialogue[];
  readonly delivering6: readonly Dialogue[];
  /** What mail servers send each other: declared ones among them. */
  readonly agents: readonly Dialogue[];
  /** What printers and applications send. */
  readonly clients: readonly Dialogue[];
  readonly refused: readonly Dialogue[];
  readonly checks: readonly Dialogue[];
  readonly scans: readonly Dialogue[];
  readonly halfOpen: readonly Dialogue[];
}

let known: Pools | undefined;

function pools(): Pools {
  if (known !== undefined) return known;
  const all = labDialogues();
  const of = (kind: Dialogue['kind']) => all.filter((each) => each.kind === kind);
  const delivering = of('delivering');
  const scans = of('scanner');
  const isAgent = ({ program }: Dialogue) => AGENTS.includes(program);
  known = {
    delivering,
    delivering6: delivering.filter(({ ipv6 }) => ipv6),
    agents: [...delivering.filter(isAgent), ...of('authorised')],
    clients: delivering.filter((each) => !isAgent(each) && each.program !== 'bot'),
    refused: of('refused'),
    checks: of('innocent'),
    scans: scans.filter(({ packets }) => packets.length > HANDSHAKE_PACKETS),
    halfOpen: scans.filter(({ packets }) => packets.length <= HANDSHAKE_PACKETS),
  };
  return known;
}

/** The case that the n-th host plays in all its sessions, null when its sessions are of many cases or none. */
export function programOf(role: Role, n: number): Dialogue | null {
  const { delivering, delivering6, clients, refused, checks, scans, halfOpen } = pools();
  switch (role) {
    case 'app_server':
    case 'printer':
      return spread(clients, n);
    case 'monitor':
    case 'unlisted_probe':
      return spread(checks, n);
    case 'syn_scanner':
      return spread(halfOpen, n);
    case 'banner_scanner':
      return spread(scans, n);
    case 'refused_bot':
      return spread(refused, n);
    case 'privacy_bot':
      return spread(delivering6, n);
    case 'burst_bot':
    case 'steady_bot':
    case 'slow_bot':
    case 'snowshoe_bot':
    case 'abused_device':
    case 'smarthost_bot':
      return spread(delivering, n);
    default:
      return null;
  }
}

/** Servers that a host remembers a TLS session with; to any other it begins anew. */
const MAX_REMEMBERED = 1000;

/** One of some cases, all alike likely. */
const any = (chance: Chance, cases: readonly Dialogue[]) => cases[chance.below(cases.length)];

/** Mail between servers: any agent, a size of any letter, now and then a server that takes its time. */
export function letter(s: Script, chance: Chance): void {
  const dialogue = any(chance, pools().agents);
  // Every second server is one that the agent has a TLS session with.
  play(s, chance, chance.happens(0.5) ? dialogue : (dialogue.full ?? dialogue), letterOf(chance));
}

/** Mail of people, handed over by whatever program they have. */
export function submission(s: Script, chance: Chance): void {
  play(s, chance, any(chance, pools().clients), letterOf(chance));
}

function letterOf(chance: Chance): Played {
  return {
    bodyBytes: 900 + Math.min(200_000, Math.floor(chance.after(chance.happens(0.1) ? 100_000 : 8000))),
    stallMs: chance.happens(0.01) ? chance.between(5, 120) * SECOND : 0,
  };
}

/** A session of the host's own program with a server, with a message of so many octets at least. */
export function own(s: Script, chance: Chance, actor: Actor, server: Endpoint, bodyBytes = 0): void {
  const { dialogue, resumes } = actor;
  if (dialogue === null) return;
  const knows = dialogue.full === null || resumes.has(server.text);
  if (!knows && resumes.size < MAX_REMEMBERED) resumes.add(server.text);
  play(s, chance, knows ? dialogue : (dialogue.full ?? dialogue), { bodyBytes });
}

/** An envelope that is refused, or a server that does not want to talk. */
export function refusal(s: Script, chance: Chance): void {
  play(s, chance, any(chance, pools().refused));
}

/**
 * A rogue host's mail. Every second host repeats the lab's message to the octet. The others have a text of their own, of
 * 700 octets and 3300 more in the mean, which differs by up to a twentieth from mail to mail.
 */
export function spam(s: Script, chance: Chance, actor: Actor, server: Endpoint): void {
  const bytes = campaignBytes(actor);
  own(s, chance, actor, server, bytes === 0 ? 0 : Math.round(bytes * (0.95 + 0.1 * chance.next())));
}

function campaignBytes({ index, startShare }: Actor): number {
  if (index % 2 === 0) return 0;
  return 700 + Math.min(60_000, Math.floor(-3300 * Math.log(1 - startShare)));
}
