/** What bot.py, telnet and netcat do without sending a message. */

import { type AddCase, over } from './case.ts';

export function handmade(add: AddCase): void {
  const bot = (behaviour: string, amount = '') => `python3 $L/bot.py ${behaviour} $T ${amount}`;
  over('postfix plain/v6 exim/nots', (server, options) =>
    add('bot', 'connect', 'innocent', 'plain', server, bot('connect'), options),
  );
  add('bot', 'connect-reset', 'innocent', 'plain', 'postfix', bot('connect-reset'));
  over('postfix wordy big/lossy', (server, options) =>
    add('bot', 'greeting', 'innocent', 'plain', server, bot('greeting'), options),
  );
  add('bot', 'greeting-quit', 'innocent', 'plain', 'exim', bot('greeting-quit'));
  add('bot', 'greeting-quit', 'innocent', 'plain', 'tarpit', bot('greeting-quit'));
  add('bot', 'connect', 'innocent', 'plain', 'silent', bot('connect'));
  add('bot', 'connect', 'innocent', 'plain', 'closed', `${bot('connect')}; true`);
  add('bot', 'greeting-quit', 'innocent', 'plain', 'refuse-connect', `${bot('greeting-quit')}; true`);
  add('bot', 'noop', 'innocent', 'plain', 'reset-greeting', `${bot('noop', '1')}; true`);
  add('bot', 'noop', 'innocent', 'plain', 'reset-ehlo', `${bot('noop', '1')}; true`);
  add('bot', 'hold', 'innocent', 'plain', 'postfix', bot('hold', '20'), { repeats: 3 });
  over('plain postfix/nots plain/v6', (server, options) =>
    add('bot', 'keepalive', 'innocent', 'plain', server, bot('keepalive', '40'), { repeats: 3, ...options }),
  );
  add('bot', 'keepalive-ehlo', 'innocent', 'plain', 'plain', bot('keepalive-ehlo', '60'), { repeats: 3 });
  add('bot', 'tls-keepalive', 'innocent', 'starttls', 'chain', bot('tls-hold', '40'), { repeats: 3 });
  over('postfix plain/nots', (server, options) =>
    add('bot', 'noop-10', 'innocent', 'plain', server, bot('noop', '10'), options),
  );
  add('bot', 'noop-slowly', 'innocent', 'plain', 'postfix', bot('noop-slowly', '12'), { repeats: 3 });
  add('bot', 'noop-30', 'innocent', 'plain', 'plain', bot('noop', '30'));
  over('postfix chain', (server) =>
    add('bot', 'tls-noop-5', 'innocent', 'starttls', server, bot('tls-noop', '5')),
  );
  add('bot', 'starttls-nothing', 'innocent', 'plain', 'postfix', bot('starttls-nothing'));
  add('bot', 'auth-plain', 'innocent', 'plain', 'auth', bot('auth-fails'));
  add('bot', 'auth-login', 'innocent', 'plain', 'auth', bot('auth-login-fails'));
  over('postfix exim/v6', (server, options) =>
    add('bot', 'rcpt', 'innocent', 'plain', server, bot('rcpt'), options),
  );
  add('bot', 'rcpt-3', 'innocent', 'plain', 'postfix', bot('rcpt-many', '3'));
  add('bot', 'vrfy', 'innocent', 'plain', 'postfix', bot('vrfy'));
  add('bot', 'garbage', 'innocent', 'plain', 'plain', bot('garbage'));
  add('bot', 'http', 'innocent', 'plain', 'plain', bot('http'));
  add(
    'telnet',
    'ehlo-quit',
    'innocent',
    'plain',
    'postfix',
    '(sleep 0.4; printf "EHLO pc\\r\\n"; sleep 0.4; printf "QUIT\\r\\n"; sleep 0.3) | telnet $T 25; true',
  );
  add(
    'telnet',
    'letter-by-letter',
    'innocent',
    'plain',
    'exim',
    '(sleep 0.3; for c in E H L O " " p c; do printf "%s" "$c"; sleep 0.1; done; printf "\\r\\n"; sleep 0.3; for c in Q U I T; do printf $c; sleep 0.1; done; printf "\\r\\n"; sleep 0.3) | nc -q 1 $T 25; true',
  );
  over('postfix plain/v6', (server, options) =>
    add('nc', 'greeting', 'innocent', 'plain', server, 'nc -w 1 $T 25 </dev/null; true', options),
  );
  add('nc', 'port-check', 'innocent', 'plain', 'plain', 'nc -z $T 25');
}
