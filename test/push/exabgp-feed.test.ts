import { describe, expect, it } from 'vitest';
import { exabgpHosts } from '../../src/acl/platforms/exabgp.ts';
import { renderAcl } from '../../src/acl/render.ts';
import { createExabgpFeed } from '../../src/push/exabgp-feed.ts';
import { offender, request } from '../support/acl-requests.ts';

/** An ExaBGP that answers `answer`, or nothing. */
function conversation(
  earlier: readonly string[] = [],
  answer: (line: string) => string | null = () => 'done',
) {
  const said: string[] = [];
  const complaints: string[] = [];
  let kept: readonly string[] = earlier;
  const feed = createExabgpFeed(earlier, {
    async send(line) {
      // What may be there is on disk before it is said.
      const host = /source (\S+);/.exec(line)?.[1] ?? '';
      if (line.startsWith('announce')) expect(kept).toContain(host);
      said.push(`${line.split(' ')[0]} ${host}`);
      const heard = answer(line);
      if (heard !== null) queueMicrotask(() => feed.hear(heard));
    },
    async remember(hosts) {
      kept = hosts;
    },
    complain: (text) => complaints.push(text),
    answerMs: 30,
  });
  return { feed, said, complaints, kept: () => kept };
}

const A = '192.0.2.55/32';
const B = '192.0.2.77/32';
const C = '2001:db8:1::55/128';

describe('the conversation with ExaBGP', () => {
  it('announces what is new and withdraws only what is gone', async () => {
    const { feed, said } = conversation();
    feed.want([A, B]);
    await feed.settled();
    feed.want([B, C]);
    await feed.settled();
    feed.want([B, C]);
    await feed.settled();
    expect(said).toEqual([`announce ${A}`, `announce ${B}`, `withdraw ${A}`, `announce ${C}`]);
  });

  it('withdraws what an earlier run announced, and announces all again', async () => {
    const { feed, said, kept } = conversation([A, B]);
    feed.want([B]);
    await feed.settled();
    expect(said).toEqual([`withdraw ${A}`, `announce ${B}`]);
    expect(kept()).toEqual([B]);
  });

  it('says nothing before a list is known', async () => {
    const { feed, said } = conversation([A]);
    await feed.settled();
    expect(said).toEqual([]);
  });

  it('goes on without answers', async () => {
    const { feed, said } = conversation([], () => null);
    feed.want([A, B]);
    await feed.settled();
    expect(said).toHaveLength(2);
  });

  it('sends one command at a time, and nothing that changed while ExaBGP was slow', async () => {
    const waiting: string[] = [];
    const { feed, said } = conversation([], (line) => {
      waiting.push(line);
      return waiting.length === 1 ? null : 'done';
    });
    feed.want([A, B]);
    await new Promise((resolve) => setTimeout(resolve, 5));
    feed.want([B]);
    expect(said).toEqual([`announce ${A}`]);
    feed.hear('done');
    await feed.settled();
    expect(said).toEqual([`announce ${A}`, `withdraw ${A}`, `announce ${B}`]);
  });

  it('tells a refused route once, until the list changes', async () => {
    const { feed, said, complaints } = conversation([], (line) => (line.includes(A) ? 'error' : 'done'));
    feed.want([A, B]);
    await feed.settled();
    expect(said).toEqual([`announce ${A}`, `announce ${B}`]);
    expect(complaints).toEqual([`ExaBGP refuses the route of ${A}`]);
    expect(feed.counters).toEqual({ announced: 1, withdrawn: 0, refused: 1 });
  });
});

describe('the hosts of a list for ExaBGP', () => {
  const list = (hosts: readonly string[], family: '4' | '6' = '4') =>
    renderAcl(
      request({
        platform: 'exabgp',
        kind: 'offenders',
        family,
        offenders: hosts.map((host) => offender(host)),
      }),
    ).text;

  it('are those that were rendered', () => {
    expect(exabgpHosts(list(['192.0.2.55', '192.0.2.77']))).toEqual([A, B]);
    expect(exabgpHosts(list(['2001:db8:1::55'], '6'))).toEqual([C]);
    expect(exabgpHosts(list([]))).toEqual([]);
  });

  it('are unknown in a part of a list, or in another text', () => {
    const text = list(['192.0.2.55', '192.0.2.77']);
    for (let length = 0; length < text.length; length += 7)
      expect(exabgpHosts(text.slice(0, length))).toBeNull();
    expect(exabgpHosts(text.replace('192.0.2.55/32;', '192.0.2.0/24;'))).toBeNull();
    expect(exabgpHosts(text.replace('=25', '=80'))).toBeNull();
    expect(exabgpHosts('')).toBeNull();
  });
});
