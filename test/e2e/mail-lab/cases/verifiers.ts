/** Libraries, command lines and mail servers that ask a server something and send no message. */

import { type AddCase, over } from './case.ts';

/** Libraries and command lines that look, but send no message. */
export function verifiers(add: AddCase): void {
  const smtplib = (security: string, action: string) =>
    `python3 $L/library.py smtplib${security} $T ${action}`;
  add('smtplib', 'connect', 'innocent', 'plain', 'postfix', smtplib('', 'connect'));
  over('postfix exim/v6 wordy/nots', (server, options) =>
    add('smtplib', 'noop', 'innocent', 'plain', server, smtplib('', 'noop'), options),
  );
  over('postfix chain big exim/v6 small/nots chain/lossy big/near chain/far', (server, options) =>
    add('smtplib', 'tls-noop', 'innocent', 'starttls', server, smtplib('-tls', 'noop'), options),
  );
  over('postfix exim/nots', (server, options) =>
    add('smtplib', 'verify', 'innocent', 'plain', server, smtplib('', 'verify'), options),
  );
  over('postfix chain big/v6', (server, options) =>
    add('smtplib', 'tls-verify', 'innocent', 'starttls', server, smtplib('-tls', 'verify'), options),
  );
  add('aiosmtplib', 'noop', 'innocent', 'plain', 'postfix', '$PYTHON $L/library.py aiosmtplib $T noop');
  over('chain tls12', (server) =>
    add(
      'aiosmtplib',
      'tls-noop',
      'innocent',
      'starttls',
      server,
      '$PYTHON $L/library.py aiosmtplib-tls $T noop',
    ),
  );
  over('postfix exim/v6', (server, options) =>
    add('nodemailer', 'verify', 'innocent', 'plain', server, '$NODE $L/mailer.mjs verify $T plain', options),
  );
  over('postfix chain big tls12 chain/nots', (server, options) =>
    add(
      'nodemailer',
      'tls-verify',
      'innocent',
      'starttls',
      server,
      '$NODE $L/mailer.mjs verify $T tls',
      options,
    ),
  );
  over('postfix chain exim/v6 small/nots big/lossy', (server, options) =>
    add(
      'nodemailer26',
      'tls-verify',
      'innocent',
      'starttls-pq',
      server,
      '$NODE_PQ $L/mailer.mjs verify $T tls',
      options,
    ),
  );
  add('go-smtp', 'verify', 'innocent', 'plain', 'postfix', '$GO_MAILER verify $T plain');
  over('postfix chain big ec/v6 chain/nots', (server, options) =>
    add('go-smtp', 'tls-verify', 'innocent', 'starttls-pq', server, '$GO_MAILER verify $T tls', options),
  );
  over('postfix plain/nots', (server, options) =>
    add('net-smtp', 'hello', 'innocent', 'plain', server, 'perl $L/net-smtp.pl hello $T plain', options),
  );
  add('net-smtp', 'vrfy', 'innocent', 'plain', 'exim', 'perl $L/net-smtp.pl verify $T plain');
  over('postfix chain', (server) =>
    add('net-smtp', 'tls-hello', 'innocent', 'starttls', server, 'perl $L/net-smtp.pl hello $T tls'),
  );
  add('php', 'check', 'innocent', 'plain', 'postfix', 'php $L/mail.php check $T');
  over('postfix chain', (server) =>
    add('php', 'tls-check', 'innocent', 'starttls', server, 'php $L/mail.php check-tls $T'),
  );
  const swaks = 'swaks --server $T --from anna@example.org --to bob@example.net --helo pc-17.example.org';
  for (const [stage, server] of [
    ['connect', 'postfix'],
    ['helo', 'exim'],
    ['mail', 'plain'],
    ['rcpt', 'postfix'],
  ])
    add('swaks', `until-${stage}`, 'innocent', 'plain', server, `${swaks} --quit-after ${stage}`);
  add('swaks', 'until-rcpt', 'innocent', 'plain', 'refuse-rcpt', `${swaks} --quit-after rcpt; true`);
  over('postfix chain big', (server) =>
    add('swaks', 'until-tls', 'innocent', 'starttls', server, `${swaks} -tls --quit-after tls`),
  );
  over('postfix chain', (server) =>
    add('swaks', 'tls-until-rcpt', 'innocent', 'starttls', server, `${swaks} -tls --quit-after rcpt`),
  );
  add(
    'curl',
    'help',
    'innocent',
    'plain',
    'postfix',
    'curl -s smtp://$H:25/pc-17.example.org --request HELP',
  );
  over('postfix chain big tls12', (server) =>
    add(
      'curl',
      'tls-help',
      'innocent',
      'starttls',
      server,
      'curl -sk --ssl-reqd smtp://$H:25/pc-17.example.org --request HELP',
    ),
  );
  over('postfix exim', (server) =>
    add(
      'curl',
      'vrfy',
      'innocent',
      'plain',
      server,
      'curl -s smtp://$H:25/pc-17.example.org --mail-rcpt bob@example.net; true',
    ),
  );
  add('msmtp', 'serverinfo', 'innocent', 'plain', 'postfix', 'msmtp --host=$T --serverinfo');
  over('postfix chain', (server) =>
    add(
      'msmtp',
      'tls-serverinfo',
      'innocent',
      'starttls',
      server,
      'msmtp --host=$T --tls=on --tls-certcheck=off --serverinfo',
    ),
  );

  // The mail server of a branch asks others whether a recipient exists, before it takes mail for them.
  const postfix = (level: string) =>
    `sh $L/postfix.sh $W/postfix "relayhost = [$T]" "inet_interfaces = 127.0.0.1" "inet_protocols = all" "smtp_tls_security_level = ${level}" "smtpd_recipient_restrictions = reject_unverified_recipient" "myhostname = branch.example.org" "address_verify_poll_count = 5"; sleep 1`;
  const ask = 'swaks --server 127.0.0.1 --from anna@example.org --to bob$N@example.net --quit-after rcpt';
  over('postfix exim/nots', (server, options) =>
    add('postfix', 'verify', 'innocent', 'plain', server, ask, {
      setup: postfix('none'),
      pauseMs: 1500,
      ...options,
    }),
  );
  over('postfix chain big exim/v6 chain/nots chain/near big/far', (server, options) =>
    add('postfix', 'tls-verify', 'innocent', 'starttls', server, ask, {
      setup: postfix('encrypt'),
      pauseMs: 1500,
      ...options,
    }),
  );
  const callout =
    'printf "EHLO x\\r\\nMAIL FROM:<a@example.org>\\r\\nRCPT TO:<bob$N@example.net>\\r\\nQUIT\\r\\n" | exim4 -C $W/exim.conf -bs';
  add('exim', 'callout', 'innocent', 'plain', 'postfix', callout, {
    setup: 'TARGET=$T sh $L/exim.sh $W client "hosts_avoid_tls = *"',
  });
  over('exim chain', (server) =>
    add('exim', 'tls-callout', 'innocent', 'starttls', server, callout, {
      setup:
        'TARGET=$T sh $L/exim.sh $W client "hosts_verify_avoid_tls =" "tls_verify_certificates = system"',
    }),
  );
}
