/** What sessions with the same server tell together: the mail that is found by its second delivery, and the checks that stay checks. */

import { describe, expect, it } from 'vitest';
import { detect, OUTSIDE, ROGUE } from '../support/detecting.ts';
import { type Flow, SECOND } from '../support/flows.ts';
import { randomNumbers } from '../support/random.ts';

type Half = readonly [packets: number, bytes: number, flags?: string];

let nextPort = 20_000;

/** Both halves of a session, as an exporter tells them when it is over. */
function session(n: number, [fp, fb, ff = 'FSPA']: Half, [rp, rb, rf = 'FSPA']: Half): Flow[] {
  nextPort = nextPort === 60_000 ? 20_000 : nextPort + 1;
  const port = nextPort;
  const at = n * 60 * SECOND;
  return [
    { at, from: ROGUE, to: OUTSIDE, fromPort: port, packets: fp, bytes: fb, flags: ff },
    { at, from: OUTSIDE, to: ROGUE, fromPort: 25, toPort: port, packets: rp, bytes: rb, flags: rf },
  ];
}

const stateAfter = (sessions: readonly (readonly [Half, Half])[]) =>
  detect(sessions.flatMap(([forward, reply], n) => session(n, forward, reply))).of(ROGUE)?.block.state;

describe('a verifier that resumes TLS', () => {
  it('is no sender, though its certificates came before anybody looked', () => {
    const resumed: [Half, Half] = [
      [11, 1424],
      [15, 1554],
    ];
    expect(stateAfter(Array.from({ length: 30 }, () => resumed))).toBe('none');
  });
});

/** Sizes of sessions in the mail lab, one after the other. */
describe('mail that repeats itself', () => {
  it('is found by its second delivery when lone ACKs prove that there are no timestamps', () => {
    const sessions: [Half, Half][] = [
      [
        [17, 1773],
        [20, 6582],
      ],
      [
        [17, 1773],
        [22, 6662],
      ],
    ];
    expect(stateAfter(sessions.slice(0, 1))).toBe('none');
    expect(stateAfter(sessions)).toBe('published');
  });

  it('is found when it resumes the TLS session of the first delivery', () => {
    const sessions: [Half, Half][] = [
      [
        [17, 2239, 'RSPA'],
        [18, 6539, 'SPA'],
      ],
      [
        [13, 2238, 'RSPA'],
        [14, 2051, 'SPA'],
      ],
    ];
    expect(stateAfter(sessions)).toBe('published');
  });

  it('is found between the sizes of post-quantum checks when lone ACKs prove timestamps', () => {
    const sessions: [Half, Half][] = [
      [
        [20, 2595],
        [19, 5152],
      ],
      [
        [17, 2439],
        [18, 5100],
      ],
      [
        [14, 2283],
        [18, 5100],
      ],
    ];
    expect(stateAfter(sessions.slice(0, 1))).toBe('none');
    expect(stateAfter(sessions)).toBe('published');
  });
});

describe('checks that repeat themselves', () => {
  it('are not mail because one packet was sent twice, and its ACK says so instead of another', () => {
    const usual: [Half, Half] = [
      [19, 2753],
      [16, 4703],
    ];
    const twice: [Half, Half] = [
      [19, 2777],
      [15, 4663],
    ];
    expect(stateAfter([usual, twice, usual, usual, twice, usual])).toBe('none');
  });

  const random = randomNumbers(7);
  const below = (limit: number) => Math.floor(random() * limit);

  interface Monitor {
    readonly timestamps: boolean;
    readonly ipv6: boolean;
    readonly hello: number;
    /** Client's payload beside the hello, of each of the checks that it does in turn. */
    readonly rest: readonly number[];
    /** Octets that a ticket adds; 0 for a client that does not resume. */
    readonly ticket: number;
    readonly loss: number;
    readonly certificate: number;
    /** Lone ACKs come and go so often. */
    readonly acks: number;
  }

  const split = (octets: number) =>
    Array.from({ length: Math.ceil(octets / 1448) }, (_, i) => Math.min(1448, octets - 1448 * i));

  /**
   * Some data packets are lost and sent again. Half of them are lost behind the exporter, which sees them twice. The other end
   * answers with a SACK block: in an ACK of its own, or in one that it sends anyhow; at times one ACK serves for two.
   */
  function lose(
    loss: number,
    header: number,
    payloads: readonly number[],
    one: { packets: number; bytes: number },
    other: { packets: number; bytes: number },
  ): void {
    for (const payload of payloads) {
      if (random() >= loss) continue;
      if (random() < 0.5) {
        one.packets++;
        one.bytes += payload + header;
      }
      const more = [1, 1, 1, 1, 1, 0, 0, -1][below(8)];
      other.packets += more;
      other.bytes += header * more + (random() < 0.8 ? 12 : 0);
    }
  }

  function check(monitor: Monitor, n: number): [Half, Half] {
    const { timestamps, hello, ticket, loss, certificate, acks } = monitor;
    const header = timestamps ? 52 : 40;
    const resumes = ticket > 0 && n >= monitor.rest.length;
    const sent = monitor.rest[n % monitor.rest.length] + hello + (resumes ? ticket : 0);
    const answered = 700 + (resumes ? 0 : certificate);
    const segments = Math.ceil(answered / 1448);
    const half = (packets: number, payload: number) => ({
      packets,
      bytes: payload + header * packets + (timestamps ? 8 : 12),
    });
    const forward = half(11 + segments + (random() < acks ? below(3) : 0), sent);
    const reply = half(8 + segments + (random() < acks ? below(2) : 0), answered);
    const commands = Array.from(
      { length: 3 + Math.round(monitor.rest[n % monitor.rest.length] / 60) },
      () => 30,
    );
    lose(loss, header, [...split(sent - 30 * commands.length), ...commands], forward, reply);
    lose(loss, header, [...split(answered - 240), 80, 80, 80], reply, forward);
    return [
      [forward.packets, forward.bytes],
      [reply.packets, reply.bytes],
    ];
  }

  const HELLOS = [320, 517, 1506, 1530, 1553, 1591];
  it.each([0, 0.005, 0.015])('are not mail in many checks on a path that loses %d of the packets', (loss) => {
    const wrong: string[] = [];
    for (let run = 0; run < 48; run++) {
      const hello = HELLOS[run % HELLOS.length];
      const monitor: Monitor = {
        timestamps: run % 4 < 2,
        ipv6: false,
        hello,
        rest: [[166], [224], [296], [166, 296]][below(4)],
        ticket: run % 3 === 0 ? 160 + below(40) : 0,
        loss,
        certificate: [800, 1324, 3125, 4314][below(4)],
        acks: [0.1, 0.5, 0.9][below(3)],
      };
      const sessions = Array.from({ length: 300 }, (_, n) => check(monitor, n));
      if (stateAfter(sessions) === 'published') wrong.push(JSON.stringify(monitor));
    }
    expect(wrong).toEqual([]);
  });
});

describe('a port that is used again', () => {
  const greeting = (at: number, startAt: number): Flow[] => [
    {
      at,
      from: ROGUE,
      to: OUTSIDE,
      fromPort: 61_000,
      packets: 6,
      bytes: 400,
      startAt,
      endAt: startAt + 2000,
    },
    {
      at: at + 1,
      from: OUTSIDE,
      to: ROGUE,
      fromPort: 25,
      toPort: 61_000,
      packets: 6,
      bytes: 500,
      startAt,
      endAt: startAt + 2000,
    },
  ];

  it('makes another session when its SYN comes after the end of the one before, whichever half is told first', () => {
    const first = greeting(5000, 0);
    const second = greeting(40_000, 35_000);
    expect(detect([...first, ...second]).of(ROGUE)?.sessions).toBe(2);
    expect(detect([...first, second[1], second[0]]).of(ROGUE)?.sessions).toBe(2);
  });

  it('makes none when the same connection is told twice, or in parts', () => {
    const first = greeting(5000, 0);
    const again = first.map((flow) => ({ ...flow, at: 6000, inIf: 2, bytes: (flow.bytes ?? 0) + 1 }));
    expect(detect([...first, ...again]).of(ROGUE)?.sessions).toBe(1);
    const rest = { ...first[0], at: 40_000, flags: 'FPA', startAt: 35_000, endAt: 36_000 };
    expect(detect([...first, rest]).of(ROGUE)?.sessions).toBe(1);
  });
});
