/** Bots that send messages. */

import { type AddCase, over } from './case.ts';

export function bots(add: AddCase): void {
  const bot = (behaviour: string, size: number) => `python3 $L/bot.py ${behaviour} $T ${size}`;
  const list: readonly (readonly [string, number, string])[] = [
    ['send', 300, 'postfix exim/nots plain/lossy'],
    ['send', 450, 'plain/v6'],
    ['send-helo', 300, 'postfix plain/nots plain/near'],
    ['send-drop', 450, 'postfix'],
    ['send-lines', 1000, 'postfix plain/nots'],
    ['send-small-window', 10_000, 'plain'],
    ['send-small-window', 450, 'plain/nots'],
    ['send-five', 450, 'postfix'],
    ['send-ten-recipients', 450, 'exim'],
    ['send-slowly', 1000, 'postfix'],
    ['pipelined', 450, 'postfix plain/nots'],
    ['pipelined', 1000, 'exim/v6'],
    ['blast', 300, 'plain small/nots'],
    ['blast', 450, 'plain exim/nots plain/near plain/far'],
    ['blast', 1000, 'plain plain/lossy'],
    ['blast', 3000, 'plain/v6'],
    ['blast-after-greeting', 450, 'plain exim/nots'],
    ['blast-after-greeting', 1000, 'plain/v6'],
    ['blast-ten-recipients', 450, 'plain'],
    ['bdat', 450, 'small exim/nots'],
    ['bdat', 1000, 'exim'],
    ['send-reset', 450, 'plain postfix/nots'],
    ['send-then-reset', 450, 'exim'],
    ['send', 450, 'refuse-content'],
  ];
  for (const [behaviour, size, servers] of list)
    over(servers, (server, options) =>
      add('bot', `${behaviour}-${size}`, 'delivering', 'plain', server, bot(behaviour, size), options),
    );
  const all = (command: string) => `for i in $(seq 60 89); do T=198.51.100.$i; ${command}; done`;
  add('bot', 'send-450-30', 'delivering', 'plain', 'mx0', all('python3 $L/bot.py send $T 450'), {
    repeats: 2,
  });
  add('bot', 'blast-450-30', 'delivering', 'plain', 'mx0', all('python3 $L/bot.py blast $T 450'), {
    repeats: 2,
  });
  add('nodemailer', '450-30', 'delivering', 'plain', 'mx0', all('$NODE $L/mailer.mjs send $T plain 450'), {
    repeats: 2,
  });
  over('postfix chain/nots', (server, options) =>
    add('bot', 'send-tls-300', 'delivering', 'starttls', server, bot('send-tls', 300), options),
  );
}
