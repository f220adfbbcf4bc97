/** What monitoring systems check on port 25. */

import { type AddCase, over } from './case.ts';

export const PLUGINS = '/usr/lib/nagios/plugins';

export function monitoring(add: AddCase): void {
  const smtp = `${PLUGINS}/check_smtp -H $T -t 30`;
  over('postfix chain/v6 wordy/nots exim/lossy exim/near wordy/far', (server, options) =>
    add('check_smtp', 'greeting', 'innocent', 'plain', server, smtp, options),
  );
  over(
    'postfix exim chain big tls12 ec chain/v6 small/nots big/nots chain/lossy chain/near chain/far big/tunnel',
    (server, options) => add('check_smtp', 'starttls', 'innocent', 'starttls', server, `${smtp} -S`, options),
  );
  add('check_smtp', 'certificate-days', 'innocent', 'starttls', 'chain', `${smtp} -D 30`);
  add('check_smtp', 'command', 'innocent', 'plain', 'postfix', `${smtp} -C "NOOP" -R 250`);
  add(
    'check_smtp',
    'mail-rcpt',
    'innocent',
    'plain',
    'exim',
    `${smtp} -f anna@example.org -C "RCPT TO:<bob@example.net>" -R 250`,
  );
  add('check_smtp', 'login', 'innocent', 'plain', 'auth', `${smtp} -A LOGIN -U anna -P secret; true`);
  add('check_smtp', 'every-second', 'innocent', 'plain', 'postfix', smtp, { repeats: 110, pauseMs: 0 });
  add('check_tcp', 'connect', 'innocent', 'plain', 'exim', `${PLUGINS}/check_tcp -H $T -p 25`);
  add(
    'check_tcp',
    'quit',
    'innocent',
    'plain',
    'plain',
    `${PLUGINS}/check_tcp -H $T -p 25 -s "QUIT\\r\\n" -e 220 -E`,
  );

  const blackbox = `prometheus-blackbox-exporter --config.file=$L/blackbox.yml --web.listen-address=127.0.0.1:9115 >$W/log 2>&1 & sleep 2`;
  const probe = (module: string) =>
    `curl -s "http://127.0.0.1:9115/probe?target=$H:25&module=${module}" | grep -q "^probe_success 1"`;
  const start = { setup: `ip link set lo up; ${blackbox}` };
  add('blackbox_exporter', 'connect', 'innocent', 'plain', 'postfix', probe('tcp_connect'), start);
  over('postfix wordy', (server) =>
    add('blackbox_exporter', 'greeting', 'innocent', 'plain', server, probe('smtp_greeting'), start),
  );
  over('postfix chain big tls12 chain/v6 exim/nots small/lossy', (server, options) =>
    add('blackbox_exporter', 'starttls', 'innocent', 'starttls', server, probe('smtp_starttls'), {
      ...start,
      ...options,
    }),
  );
}
