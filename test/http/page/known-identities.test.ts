import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createKnownIdentities } from '../../../src/http/page/known-identities.ts';

const MINUTE_MS = 60_000;
const AT_MS = Date.UTC(2026, 0, 1);

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'known-identities-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

it('shows an owner that was added while the service runs, after a minute', () => {
  const owners = join(folder, 'owners.csv');
  writeFileSync(owners, 'prefix,owner\n10.2.8.0/24,Sales\n');
  const files = { leases: [], owners };
  let nowMs = AT_MS;
  const identityOf = createKnownIdentities(
    () => files,
    () => nowMs,
  );
  expect(identityOf('10.2.8.102', AT_MS)).toMatchObject({ owner: 'Sales' });

  writeFileSync(owners, 'prefix,owner\n10.2.8.0/24,Purchasing\n');
  expect(identityOf('10.2.8.102', AT_MS)).toMatchObject({ owner: 'Sales' });
  nowMs += MINUTE_MS;
  expect(identityOf('10.2.8.102', AT_MS)).toMatchObject({ owner: 'Purchasing' });
});

it('takes over other files at once, as after a reload of the configuration', () => {
  const owners = join(folder, 'owners.csv');
  writeFileSync(owners, 'prefix,owner\n10.2.8.0/24,Sales\n');
  let files: { readonly leases: []; readonly owners?: string } = { leases: [] };
  const identityOf = createKnownIdentities(
    () => files,
    () => AT_MS,
  );
  expect(identityOf('10.2.8.102', AT_MS)).toBeNull();
  files = { leases: [], owners };
  expect(identityOf('10.2.8.102', AT_MS)).toMatchObject({ owner: 'Sales' });
});

it('has no name for a host while a file cannot be read', () => {
  const files = { leases: [], owners: join(folder, 'none.csv') };
  const identityOf = createKnownIdentities(
    () => files,
    () => AT_MS,
  );
  expect(identityOf('10.2.8.102', AT_MS)).toBeNull();
});
