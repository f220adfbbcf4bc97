/** Mail that no server takes. */

import type { AddCase } from './case.ts';

export function refused(add: AddCase): void {
  const bot = (behaviour: string, amount = '1000') => `python3 $L/bot.py ${behaviour} $T ${amount}`;
  for (const server of ['refuse-mail', 'refuse-rcpt', 'refuse-data'])
    add('smtplib', 'send', 'refused', 'plain', server, 'python3 $L/library.py smtplib $T send 1000');
  for (const server of ['refuse-rcpt', 'refuse-data'])
    add(
      'smtplib',
      'tls-send',
      'refused',
      'starttls',
      server,
      'python3 $L/library.py smtplib-tls $T send 1000',
    );
  add(
    'smtplib',
    'recipients',
    'refused',
    'plain',
    'refuse-rcpt',
    'python3 $L/library.py smtplib $T recipients 1000',
  );
  add(
    'nodemailer26',
    'tls-send',
    'refused',
    'starttls-pq',
    'refuse-rcpt',
    '$NODE_PQ $L/mailer.mjs send $T tls 1000',
  );
  add(
    'swaks',
    'send',
    'refused',
    'plain',
    'refuse-rcpt',
    'swaks --server $T --from anna@example.org --to bob@example.net; true',
  );
  add('bot', 'send', 'refused', 'plain', 'refuse-connect', `${bot('send')}; true`);
  add('bot', 'send', 'refused', 'plain', 'reset-mail', `${bot('send')}; true`);
  const all = (command: string) => `for i in $(seq 100 123); do T=198.51.100.$i; ${command}; done`;
  // Every second server refuses the sender alone. The bot goes on all the same, and the server takes its message.
  add('bot', 'send-24', 'delivering', 'plain', 'no0', all(bot('send')), { repeats: 2, pauseMs: 700 });
  add('bot', 'send-tls-24', 'delivering', 'starttls', 'no0', all(bot('send-tls')), {
    repeats: 2,
    pauseMs: 700,
  });
  add(
    'smtplib',
    'tls-send-24',
    'refused',
    'starttls',
    'no0',
    all('python3 $L/library.py smtplib-tls $T send 1000'),
    { repeats: 2 },
  );
  add('bot', 'send-ten-recipients', 'refused', 'plain', 'refuse-rcpt', bot('send-ten-recipients'));
}
