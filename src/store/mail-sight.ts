/**
 * How much of the stored mail could be judged: flows of the newest day, and those with neither end internal or both.
 *
 * The newest day by the flows' own times, so that an old capture in a store of its own is judged as well.
 */

import type { Config } from '../config/schema.ts';
import type { MailSight } from '../detect/mail-sight.ts';
import { formatAddress, parseAddress } from '../flow/address.ts';
import { inAnyPrefix, ON_MAIL_PORTS } from './conditions.ts';
import type { Engine } from './store.ts';

const DAY_S = 86_400;
const STRANGERS = 3;

export async function mailSight(
  engine: Engine,
  { networks, detection }: Pick<Config, 'networks' | 'detection'>,
): Promise<MailSight> {
  const client = inAnyPrefix('client', networks.internal);
  const server = inAnyPrefix('server', networks.internal);
  const { alert, ports } = detection.submission;
  const watched = [...detection.ports, ...(alert ? ports : [])].join(', ');
  const newest = `hour > (SELECT max(hour) FROM mail_sessions) - ${DAY_S} AND server_port IN (${watched})`;
  const [sums] = await engine.query<{ flows: number; foreign: number; internal: number }>(
    `SELECT sum(records) AS flows, sumIf(records, NOT ${client} AND NOT ${server}) AS foreign,
      sumIf(records, ${client} AND ${server}) AS internal
    FROM mail_sessions WHERE ${newest}`,
  );
  if (sums === undefined) return { flows: 0, ignored: {}, strangers: [] };
  const flows = Number(sums.flows);
  let foreign = Number(sums.foreign);
  const internal = detection.internal.alert ? 0 : Number(sums.internal);
  if (foreign === 0) return { flows, ignored: { internal }, strangers: [] };
  if (foreign + internal >= flows) {
    // The rollup does not know the addresses behind a NAT; the flows do.
    const [inside] = await engine.query<{ count: number }>(
      `SELECT count() AS count FROM flows
      WHERE received_at > (SELECT max(hour) FROM mail_sessions) - ${DAY_S} AND protocol = 6 AND ${ON_MAIL_PORTS}
        AND (${inAnyPrefix('post_nat_src_addr', networks.internal)} OR ${inAnyPrefix('post_nat_dst_addr', networks.internal)})`,
    );
    foreign = Math.max(0, foreign - Number(inside?.count ?? 0));
  }
  const strangers = await engine.query<{ client: string }>(
    `SELECT client FROM mail_sessions WHERE ${newest} AND NOT ${client} AND NOT ${server}
    GROUP BY client ORDER BY sum(records) DESC, client LIMIT ${STRANGERS}`,
  );
  return { flows, ignored: { foreign, internal }, strangers: strangers.map((row) => dotted(row.client)) };
}

function dotted(text: string): string {
  const bytes = parseAddress(text);
  return bytes === null ? text : formatAddress(bytes);
}
