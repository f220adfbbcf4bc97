/** `rogue-smtp relay-check` against real Postfix and Exim, one closed and one open, on a loopback of their own. */

import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Observation } from '../../src/relay-check/check.ts';
import { cannotRunAsRoot } from '../support/requirements.ts';
import { MAIN } from '../support/service.ts';
import { LAB_TOOLS, missingPrograms, preparePrograms } from './mail-lab/programs.ts';

const obstacle = cannotRunAsRoot(...LAB_TOOLS, 'unshare') ?? missing();

function missing(): string | null {
  const absent = missingPrograms();
  if (absent.length === 0) return null;
  if (process.env.REQUIRE_ALL === '1') throw new Error(`REQUIRE_ALL is set, but: needs ${absent.join(', ')}`);
  return `needs ${absent.join(', ')}`;
}

const EXIM = 5525;
/** Takes mail for anybody, as a careless relay does; tells the world that it knows AUTH before TLS. */
const OPEN = (home: string) => `spool_directory = ${home}/spool
log_file_path = ${home}/%slog
pid_file_path = ${home}/pid
primary_hostname = exim.example.net
keep_environment =
never_users =
host_lookup =
rfc1413_hosts =
tls_advertise_hosts =
acl_smtp_rcpt = rcpt
begin acl
rcpt:
  accept
begin routers
all:
  driver = accept
  transport = null
begin transports
null:
  driver = appendfile
  file = /dev/null
  user = root
begin authenticators
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = Username:: : Password::
  server_condition = no
`;

describe.skipIf(obstacle !== null)(
  `real servers${obstacle === null ? '' : ` (skipped: ${obstacle})`}`,
  () => {
    let home = '';
    beforeAll(() => {
      home = mkdtempSync(join(tmpdir(), 'rogue-smtp-relay-'));
      // Both give up root.
      chmodSync(home, 0o777);
    });
    afterAll(() => rmSync(home, { recursive: true, force: true }));

    it('are told apart: a closed Postfix with STARTTLS, an open Exim without', () => {
      const { overlay, certificates } = preparePrograms();
      const config = join(home, 'rogue-smtp.yaml');
      const exim = join(home, 'exim.conf');
      writeFileSync(config, 'networks: { internal: [127.0.0.0/8] }\nsenders: []\n');
      writeFileSync(exim, OPEN(home));
      const closed = [
        'myhostname = mx.example.net',
        'mydestination = example.net',
        'local_recipient_maps = inline:{postmaster=root}',
        'mynetworks = 192.0.2.0/24',
        'inet_interfaces = 127.0.0.1',
        // There is no DNS in here.
        'smtpd_peername_lookup = no',
        'smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination',
        `smtpd_tls_chain_files = ${certificates}/small.key, ${certificates}/small.pem`,
        'smtpd_tls_security_level = may',
      ];
      const check = (port: number, file: string) =>
        `'${process.execPath}' '${MAIN}' --config '${config}' relay-check 127.0.0.1 --port ${port} --domain example.net --recipient you@example.org --json >'${join(home, file)}' 2>'${join(home, `${file}.err`)}'; echo $? >'${join(home, `${file}.code`)}'`;
      const script = [
        ...overlay,
        'ip link set lo up',
        `sh '${join(import.meta.dirname, 'mail-lab/postfix.sh')}' '${home}/postfix' ${closed.map((each) => `'${each}'`).join(' ')}`,
        `exim4 -C '${exim}' -bd -oX 127.0.0.1.${EXIM} -oP '${home}/exim.pid'`,
        'sleep 1',
        check(25, 'postfix.json'),
        check(EXIM, 'exim.json'),
        `kill $(cat '${home}/exim.pid')`,
        `postfix -c '${home}/postfix/conf' stop || true`,
      ].join('\n');
      execFileSync('unshare', ['-mn', 'sh', '-c', script], { stdio: 'ignore', timeout: 60_000 });

      const read = (file: string) => execFileSync('cat', [join(home, file)], { encoding: 'utf8' }).trim();
      const found = (file: string) =>
        read(file)
          .split('\n')
          .map((line) => JSON.parse(line) as Observation);
      const texts = (file: string, verdict: string) =>
        found(file)
          .filter((each) => each.verdict === verdict)
          .map(({ text }) => text);
      expect(texts('postfix.json', 'good')).toEqual(
        expect.arrayContaining([
          expect.stringMatching(/^STARTTLS works with TLSv1\.3/),
          'It takes no mail for example.org in 7 forms of the address.',
          expect.stringMatching(/^It refuses the unknown recipient/),
        ]),
      );
      expect(texts('postfix.json', 'bad').filter((text) => /takes mail/.test(text))).toEqual([]);
      expect(texts('exim.json', 'bad')).toEqual(
        expect.arrayContaining([
          expect.stringMatching(/^It offers no STARTTLS/),
          expect.stringMatching(/^It offers AUTH without TLS/),
          expect.stringMatching(/^It takes mail for others from anybody: a stranger, to somewhere else/),
          expect.stringMatching(/^It takes mail for the unknown recipient/),
        ]),
      );
      expect(read('exim.json.code')).toBe('1');
    });
  },
);
