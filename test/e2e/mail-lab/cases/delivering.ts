/** Libraries and command lines that send messages. */

import { agents } from './agents.ts';
import { bots } from './bots.ts';
import { type AddCase, over } from './case.ts';

export function delivering(add: AddCase): void {
  const smtplib = (action: string, size: number | string = 1000, security = '') =>
    `python3 $L/library.py smtplib${security} $T ${action} ${size}`;
  const sizes = [
    [300, 'plain postfix/nots exim/far'],
    [450, 'plain postfix/v6 exim/nots plain/near'],
    [1000, 'plain exim'],
    [3000, 'postfix'],
    [10_000, 'plain'],
    [100_000, 'exim'],
  ] as const;
  for (const [size, servers] of sizes)
    over(servers, (server, options) =>
      add('smtplib', `${size}`, 'delivering', 'plain', server, smtplib('send', size), options),
    );
  add('smtplib', '1000', 'delivering', 'plain', 'postfix', smtplib('send'), { path: 'lossy', repeats: 6 });
  const secure = [
    [300, 'postfix small chain/nots'],
    [450, 'chain exim tls12/nots big/v6 chain/near small/far big/tunnel'],
    [1000, 'postfix big chain/lossy'],
    [10_000, 'chain'],
  ] as const;
  for (const [size, servers] of secure)
    over(servers, (server, options) =>
      add('smtplib', `tls-${size}`, 'delivering', 'starttls', server, smtplib('send', size, '-tls'), options),
    );
  add('smtplib', 'five-450', 'delivering', 'plain', 'plain', smtplib('send-five', 450));
  add('smtplib', 'ten-recipients', 'delivering', 'plain', 'postfix', smtplib('recipients', 1000));
  add('smtplib', '450', 'delivering', 'plain', 'tarpit', smtplib('send', 450), { repeats: 3 });
  add('smtplib', '450', 'delivering', 'plain', 'refuse-content', `${smtplib('send', 450)}; true`);
  add(
    'smtplib',
    'tls-450',
    'delivering',
    'starttls',
    'refuse-content',
    `${smtplib('send', 450, '-tls')}; true`,
  );
  // The first sessions are put off, the later ones taken.
  add('smtplib', 'retried-450', 'delivering', 'plain', 'greylist', smtplib('send', 450), {
    repeats: 6,
    pauseMs: 5000,
  });
  add('smtplib', 'tls-retried-450', 'delivering', 'starttls', 'greylist', smtplib('send', 450, '-tls'), {
    repeats: 6,
    pauseMs: 5000,
  });
  over('small', (server) =>
    add('aiosmtplib', '450', 'delivering', 'plain', server, '$PYTHON $L/library.py aiosmtplib $T send 450'),
  );
  over('chain', (server) =>
    add(
      'aiosmtplib',
      'tls-450',
      'delivering',
      'starttls',
      server,
      '$PYTHON $L/library.py aiosmtplib-tls $T send 450',
    ),
  );

  const file =
    'printf "From: anna@example.org\\r\\nTo: bob@example.net\\r\\nSubject: Report\\r\\n\\r\\n" >$W/mail; head -c ';
  const body = (size: number) =>
    `{ ${file}${Math.max(size - 75, 40)} $L/../../../LICENSE | sed 's/$/\\r/' >>$W/mail; }`;
  const msmtp = 'msmtp --host=$T --from=anna@example.org';
  for (const size of [300, 450, 1000])
    add(
      'msmtp',
      `${size}`,
      'delivering',
      'plain',
      size === 450 ? 'exim' : 'postfix',
      `${body(size)}; ${msmtp} bob@example.net <$W/mail`,
    );
  over('chain postfix/nots', (server, options) =>
    add(
      'msmtp',
      'tls-450',
      'delivering',
      'starttls',
      server,
      `${body(450)}; ${msmtp} --tls=on --tls-certcheck=off bob@example.net <$W/mail`,
      options,
    ),
  );
  const curl = 'curl -s --mail-from anna@example.org --mail-rcpt bob@example.net --upload-file $W/mail';
  for (const size of [300, 450, 3000])
    add(
      'curl',
      `${size}`,
      'delivering',
      'plain',
      size === 450 ? 'exim' : 'postfix',
      `${body(size)}; ${curl} smtp://$H:25/pc-17.example.org`,
    );
  over('postfix chain tls12/v6', (server, options) =>
    add(
      'curl',
      'tls-450',
      'delivering',
      'starttls',
      server,
      `${body(450)}; ${curl} -k --ssl-reqd smtp://$H:25/pc-17.example.org`,
      options,
    ),
  );
  const swaks = 'swaks --server $T --from anna@example.org --to bob@example.net --helo pc-17.example.org';
  over('postfix exim plain/nots', (server, options) =>
    add('swaks', 'test-mail', 'delivering', 'plain', server, swaks, options),
  );
  over('postfix chain', (server) =>
    add('swaks', 'tls-test-mail', 'delivering', 'starttls', server, `${swaks} -tls`),
  );
  add('swaks', 'pipelined', 'delivering', 'plain', 'postfix', `${swaks} --pipeline`);
  for (const size of [300, 1000])
    add('net-smtp', `${size}`, 'delivering', 'plain', 'postfix', `perl $L/net-smtp.pl send $T plain ${size}`);
  over('exim chain', (server) =>
    add('net-smtp', 'tls-450', 'delivering', 'starttls', server, 'perl $L/net-smtp.pl send $T tls 450'),
  );
  over('postfix exim/v6', (server, options) =>
    add('nodemailer', '450', 'delivering', 'plain', server, '$NODE $L/mailer.mjs send $T plain 450', options),
  );
  over('postfix chain big/nots', (server, options) =>
    add(
      'nodemailer',
      'tls-450',
      'delivering',
      'starttls',
      server,
      '$NODE $L/mailer.mjs send $T tls 450',
      options,
    ),
  );
  over('postfix chain small/v6 chain/nots chain/near', (server, options) =>
    add(
      'nodemailer26',
      'tls-450',
      'delivering',
      'starttls-pq',
      server,
      '$NODE_PQ $L/mailer.mjs send $T tls 450',
      options,
    ),
  );
  add(
    'nodemailer',
    'ten-recipients',
    'delivering',
    'plain',
    'plain',
    '$NODE $L/mailer.mjs send $T plain 1000 10',
  );
  add('go-smtp', '450', 'delivering', 'plain', 'postfix', '$GO_MAILER send $T plain 450');
  over('postfix chain/nots big', (server, options) =>
    add('go-smtp', 'tls-450', 'delivering', 'starttls-pq', server, '$GO_MAILER send $T tls 450', options),
  );
  add('php', '450', 'delivering', 'plain', 'postfix', 'php $L/mail.php send $T 450');
  add('php', 'tls-450', 'delivering', 'starttls', 'chain', 'php $L/mail.php send-tls $T 450');
  agents(add, body);
  bots(add);
}
