/** Who is probably a mail server is known where no detector runs, too. */

import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { configSchema } from '../../src/config/schema.ts';
import { parseAddress } from '../../src/flow/address.ts';
import { createProbableServer } from '../../src/service/probable-server.ts';
import type { InventoryRow } from '../../src/store/queries.ts';
import { STRICT } from '../support/detecting.ts';
import { T0 } from '../support/flows.ts';

const CONFIG = configSchema.parse({ ...STRICT, data: join(tmpdir(), 'rogue-smtp-none') });
const HOST = parseAddress('10.0.0.61') ?? new Uint8Array(16);
const ROW: InventoryRow = {
  host: '10.0.0.61',
  site: 'north',
  sessions_out: 0,
  destinations: 0,
  sessions_in: 5,
  hours_out: 0,
  packets_out: 0,
  bytes_out: 0,
  sources_in: 5,
  internal_clients: 0,
  submission_out: 0,
  first_seen: '',
  last_seen: '',
  likely_mail_server: true,
  reasons: ['takes mail from outside'],
};

const asked = (rows: () => Promise<readonly InventoryRow[]>) =>
  createProbableServer(
    () => CONFIG,
    { assigned: [] },
    () => T0,
    rows,
  );

describe('on a machine without detectors', () => {
  it('the inventory in the store speaks for a host of its site', async () => {
    const probableServer = asked(async () => [ROW]);
    expect(await probableServer(HOST, 'north')).toBe(
      'is likely one by the inventory (takes mail from outside)',
    );
    expect(await probableServer(HOST, 'south')).toBeNull();
    expect(await asked(async () => [{ ...ROW, likely_mail_server: false }])(HOST, 'north')).toBeNull();
  });

  it('a store that does not answer is no reason to block', async () => {
    const away = asked(() => Promise.reject(new Error('refused')));
    await expect(away(HOST, 'north')).rejects.toMatchObject({
      code: 'unavailable',
      message: 'whether the host is a mail server cannot be asked of the store now: refused',
    });
  });
});
