/** IPv6 privacy addresses with `detection.ipv6_group: 64`: flows in, one incident a /64 and its list out. */

import { describe, expect, it } from 'vitest';
import { blockedMembers, buildAcl } from '../../src/acl/build.ts';
import { type ConfigInput, configSchema } from '../../src/config/schema.ts';
import { parseAddress } from '../../src/flow/address.ts';
import { hostPartition } from '../../src/flow/host-partition.ts';
import { formatPrefix } from '../../src/flow/prefix.ts';
import type { Incident } from '../../src/messages/alert.ts';
import { aclInputOf, blockedOf } from '../../src/publish/acl-request.ts';
import { detect, detectorFor, MAIL_SERVER, OUTSIDE, ROGUE, STRICT } from '../support/detecting.ts';
import { batchOf, type Flow, HOUR, replyTo, SECOND, T0 } from '../support/flows.ts';

const NETWORK = '2001:db8:1:2::/64';
const SERVER = '2001:db8:ffff::25';
const address = (n: number) => `2001:db8:1:2:aaaa::${n.toString(16)}`;
const GROUPED: ConfigInput = { ...STRICT, detection: { ipv6_group: 64 } };

/** Both halves of a mail, each in a datagram of its own. */
function mail(from: string, changes: Partial<Flow> = {}): Flow[] {
  const flow: Flow = { from, to: SERVER, ...changes };
  return [flow, { ...flow, at: (flow.at ?? 0) + 100 }, replyTo(flow)];
}

function sources(incidents: readonly Incident[], config: ConfigInput, atMs: number) {
  const parsed = configSchema.parse(config);
  const input = aclInputOf(parsed, blockedOf(parsed, incidents, atMs), atMs);
  const { model, leftOut } = buildAcl({ kind: 'offenders', family: '6', ...input });
  return {
    denied: model.rules.map(({ source }) => (source === null ? 'any' : formatPrefix(source))),
    leftOut: leftOut.map(({ host, reason }) => `${host} ${reason}`),
  };
}

describe('a bot that takes a new IPv6 address for every session', () => {
  const flows = [1, 2, 3].flatMap((n) => mail(address(n), { at: n * SECOND, fromPort: 4000 + n }));

  it('is as many hosts as it has addresses by default, and one when addresses of a /64 belong together', () => {
    expect(detect(flows).incidents).toHaveLength(3);
    const { incidents, of } = detect(flows, { config: GROUPED });
    expect(incidents).toHaveLength(1);
    expect(of(NETWORK)).toMatchObject({ grade: 'conversed', sessions: 3, block: { state: 'published' } });
    expect(of(NETWORK)?.members?.map((member) => member.address)).toEqual([3, 2, 1].map(address));
  });

  it('becomes bulk by what its addresses do together', () => {
    const many = Array.from(
      { length: 20 },
      (_, i): Flow => ({
        from: address(i + 1),
        to: `2001:db8:ffff::${i + 1}`,
        at: i * SECOND,
      }),
    );
    expect(detect(many).incidents.map(({ grade }) => grade)).not.toContain('bulk');
    expect(detect(many, { config: GROUPED }).of(NETWORK)?.grade).toBe('bulk');
  });

  it('has those addresses in the list that have evidence from two datagrams, each for a short life', () => {
    const once: Flow = { from: address(9), to: SERVER, at: 4 * SECOND };
    const { incidents, of } = detect([...flows, once], { config: GROUPED });
    const at = T0 + 10 * SECOND;
    expect(sources(incidents, GROUPED, at).denied).toEqual([1, 2, 3].map(address));
    expect(of(NETWORK)?.members?.find((member) => member.address === address(9))?.until).toBeNull();
    expect(sources(incidents, GROUPED, at + 4 * HOUR).denied).toEqual([]);
    const [incident] = incidents;
    expect(blockedMembers(incident.members ?? [], at)).toHaveLength(3);
  });

  it('has its whole /64 in the list when that is asked for and nobody with a right to send is inside', () => {
    const whole: ConfigInput = { ...GROUPED, block: { mode: 'publish', ipv6: 'prefix' } };
    const { incidents } = detect(flows, { config: whole });
    expect(sources(incidents, whole, T0 + 10 * SECOND).denied).toEqual([NETWORK]);
    const changes: [ConfigInput, string][] = [
      [
        { senders: [{ name: 'mail', hosts: [MAIL_SERVER, '2001:db8:1:2::25'] }] },
        'holds the authorised sender',
      ],
      [{ block: { mode: 'publish', ipv6: 'prefix', never: ['2001:db8:1:2::7'] } }, 'never-block'],
      [
        { networks: { internal: ['10.0.0.0/8', '2001:db8:1:2::/80', '2001:db8:1:2:aaaa::/80'] } },
        'not internal as a whole',
      ],
    ];
    for (const [change, reason] of changes) {
      const config: ConfigInput = { ...whole, ...change };
      const list = sources(incidents, config, T0 + 10 * SECOND);
      expect(list.denied).toEqual([1, 2, 3].map(address));
      expect(list.leftOut.join()).toContain(reason);
    }
  });

  it('never has an address in the list that may send by now', () => {
    const { incidents } = detect(flows, { config: GROUPED });
    const config = { ...GROUPED, senders: [{ name: 'mail', hosts: [MAIL_SERVER, address(2)] }] };
    expect(sources(incidents, config, T0 + 10 * SECOND).denied).toEqual([1, 3].map(address));
  });

  it('is the same incident after a restart, its addresses with it', () => {
    const first = detect(flows, { config: GROUPED });
    const again = detectorFor(GROUPED);
    for (const incident of first.incidents) again.restore(JSON.parse(JSON.stringify(incident)));
    expect(again.openIncidents()).toMatchObject([
      { host: NETWORK, incident_id: first.incidents[0].incident_id, members: first.incidents[0].members },
    ]);
    // The first records after a restart only rebuild what was in memory.
    again.resume(0, { from: 98, end: 99 });
    again.observe(batchOf([{ from: ROGUE, to: OUTSIDE, at: HOUR / 2 }]), { partition: 0, offset: 98 });
    again.observe(batchOf(mail(address(7), { at: HOUR, fromPort: 9 })), { partition: 0, offset: 99 });
    const [group] = again.openIncidents();
    expect(group.members?.map((member) => member.address)).toContain(address(7));
  });

  it('leaves IPv4 hosts as they are', () => {
    const { of } = detect([{ from: ROGUE, to: OUTSIDE }], { config: GROUPED });
    expect(of(ROGUE)).toMatchObject({ grade: 'conversed' });
    expect(of(ROGUE)).not.toHaveProperty('members');
  });

  it('goes to one partition, the one of its /64', () => {
    const bytes = (text: string) => parseAddress(text) ?? new Uint8Array(16);
    const partitions = new Set([1, 2, 3, 4, 5, 6].map((n) => hostPartition(bytes(address(n)), 0, 64, 64)));
    expect([...partitions]).toEqual([hostPartition(bytes('2001:db8:1:2::'), 0, 64)]);
    expect(hostPartition(bytes(ROGUE), 0, 64, 64)).toBe(hostPartition(bytes(ROGUE), 0, 64));
  });
});

describe('a lease of addresses', () => {
  it('bounds the life of a block, also of a host that came back', () => {
    const config: ConfigInput = { ...STRICT, block: { mode: 'publish', ttl: '24h', lease: '8h' } };
    const flows = [{ from: ROGUE, to: OUTSIDE }, replyTo({ from: ROGUE, to: OUTSIDE })];
    expect(detect(flows, { config }).of(ROGUE)?.block.until).toBe('2026-03-01T18:00:00.000Z');
  });
});
