/** Flow logs of the kinds in which labelled traffic is published: a spam bot, a scanner and a victim in each. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { configSchema } from '../../src/config/schema.ts';
import { replayFiles } from '../../src/replay/replay.ts';

const folder = mkdtempSync(join(tmpdir(), 'log-variants-'));
afterAll(() => rmSync(folder, { recursive: true }));

const BOT = '147.32.84.165';
const SCANNER = '147.32.84.191';
const VICTIM = '147.32.84.192';

/** What each host came to, and whether it was blocked. */
async function verdicts(name: string, lines: readonly string[]): Promise<Record<string, [string, string]>> {
  const file = join(folder, name);
  writeFileSync(file, `${lines.join('\n')}\n`);
  const config = configSchema.parse({
    networks: { internal: ['147.32.0.0/16'] },
    senders: [{ name: 'mail', hosts: ['192.0.2.25'] }],
    block: { mode: 'publish' },
  });
  const { incidents, summary } = await replayFiles([file], config, {});
  expect(summary.logs[0].rejected).toEqual({});
  return Object.fromEntries(incidents.map(({ host, grade, block }) => [host, [grade, block.state]]));
}

/** Times of the sessions, some of them split by hours. */
const SECONDS = [0, 40, 3600, 7200];
const server = (i: number) => `64.12.90.${i + 1}`;

describe('labelled traffic as others publish it', () => {
  it('CTU-13: binetflow with totals of both directions', async () => {
    const time = (second: number) =>
      `2011/08/10 ${new Date(36_000_000 + second * 1000).toISOString().slice(11, 19)}.607825`;
    const row = (second: number, tuple: string, state: string, counts: string) =>
      `${time(second)},3.026539,tcp,${tuple},${state},0,0,${counts},flow=From-Botnet-V42-TCP`;
    const rows = SECONDS.flatMap((second, i) => [
      row(second, `${BOT},${2000 + i},   ->,${server(i)},25`, 'FSPA_FSPA', '25,6276,4156'),
      row(second, `${SCANNER},${2000 + i},   ->,${server(i)},25`, 'S_RA', '4,244,124'),
      row(second, `${server(i)},${2000 + i},   ->,${VICTIM},25`, 'FSPA_FSPA', '25,6276,4156'),
    ]);
    const header =
      'StartTime,Dur,Proto,SrcAddr,Sport,Dir,DstAddr,Dport,State,sTos,dTos,TotPkts,TotBytes,SrcBytes,Label';
    expect(await verdicts('capture.binetflow', [header, ...rows])).toEqual({
      [BOT]: ['conversed', 'published'],
      [SCANNER]: ['attempted', 'none'],
    });
  });

  it('IoT-23: Zeek conn with the labels in the last field', async () => {
    const fields =
      'ts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tservice\tduration\torig_bytes\tresp_bytes\tconn_state\tlocal_orig\tlocal_resp\tmissed_bytes\thistory\torig_pkts\torig_ip_bytes\tresp_pkts\tresp_ip_bytes\ttunnel_parents   label   detailed-label';
    const row = (second: number, from: string, to: string, what: string) =>
      `${1_545_403_816 + second}.962094\tC${second}\t${from}\t41040\t${to}\t25\ttcp\t-\t${what}\t-   Malicious   PartOfAHorizontalPortScan`;
    const rows = SECONDS.flatMap((second, i) => [
      row(second, BOT, server(i), '3.1\t2800\t600\tSF\t-\t-\t0\tShAdDaFf\t14\t3536\t12\t1232'),
      row(second, SCANNER, server(i), '-\t-\t-\tS0\t-\t-\t0\tS\t1\t40\t0\t0'),
      row(second, server(i), VICTIM, '3.1\t2800\t600\tSF\t-\t-\t0\tShAdDaFf\t14\t3536\t12\t1232'),
    ]);
    const header = [
      '#separator \\x09',
      '#set_separator\t,',
      '#empty_field\t(empty)',
      '#unset_field\t-',
      '#path\tconn',
    ];
    expect(
      await verdicts('conn.log.labeled', [...header, `#fields\t${fields}`, ...rows, '#close\t2018']),
    ).toEqual({
      [BOT]: ['conversed', 'published'],
      [SCANNER]: ['attempted', 'none'],
    });
  });

  it('Suricata EVE: flow events among others', async () => {
    const at = (second: number) =>
      new Date(Date.UTC(2024, 0, 1, 10) + second * 1000).toISOString().replace('Z', '000+0000');
    const flow = (second: number, from: string, to: string, told: object, flags: [string, string]) =>
      JSON.stringify({
        timestamp: at(second + 60),
        event_type: 'flow',
        src_ip: from,
        src_port: 41_000,
        dest_ip: to,
        dest_port: 25,
        proto: 'TCP',
        app_proto: 'smtp',
        flow: {
          ...told,
          start: at(second),
          end: at(second + 3),
          state: 'closed',
          reason: 'timeout',
          alerted: false,
        },
        tcp: { tcp_flags_ts: flags[0], tcp_flags_tc: flags[1], state: 'closed' },
      });
    const mail = { pkts_toserver: 14, pkts_toclient: 12, bytes_toserver: 3700, bytes_toclient: 1500 };
    const refused = { pkts_toserver: 1, pkts_toclient: 1, bytes_toserver: 60, bytes_toclient: 54 };
    const lines = SECONDS.flatMap((second, i) => [
      JSON.stringify({
        timestamp: at(second),
        event_type: 'alert',
        src_ip: BOT,
        dest_ip: server(i),
        proto: 'TCP',
      }),
      flow(second, BOT, server(i), mail, ['1b', '1b']),
      flow(second, SCANNER, server(i), refused, ['02', '14']),
      flow(second, server(i), VICTIM, mail, ['1b', '1b']),
    ]);
    expect(await verdicts('eve.json', lines)).toEqual({
      [BOT]: ['conversed', 'published'],
      [SCANNER]: ['attempted', 'none'],
    });
  });

  it('Zeek JSON without packet counts proves connections, and does not guess at more', async () => {
    const lines = SECONDS.map((second, i) =>
      JSON.stringify({
        ts: 1_545_403_824 + second,
        uid: `x${i}`,
        'id.orig_h': BOT,
        'id.orig_p': 41_000,
        'id.resp_h': server(i),
        'id.resp_p': 25,
        proto: 'tcp',
        duration: 3.9,
        orig_bytes: 2800,
        resp_bytes: 600,
        conn_state: 'SF',
        history: 'ShAdDaFf',
      }),
    );
    expect(await verdicts('conn.json', lines)).toEqual({ [BOT]: ['connected', 'none'] });
  });
});
