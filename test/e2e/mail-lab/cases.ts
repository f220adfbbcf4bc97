/**
 * What the hosts of the mail lab do, one case a host.
 *
 * A case is a command of the shell that runs a few times. Its environment: $T the server's address ($H in brackets when
 * it is IPv6), $SRC the host's own, $N the number of the run, $W a directory of the case, $L this directory, and what
 * programs.ts finds: $PYTHON, $NODE, $NODE_PQ, $NODEMAILER, $GO_MAILER.
 */

import { createHash } from 'node:crypto';

/**
 * `innocent`: no message, and nothing that looks for victims. `scanner`: no message, but many servers, or what scanners of
 * relays and of TLS do. `refused`: wanted to deliver, and no server took it as far as the message. `delivering`: sends message
 * data. `authorised`: a declared sender.
 */
export type Kind = 'innocent' | 'scanner' | 'refused' | 'delivering' | 'authorised';
export type Security = 'plain' | 'starttls' | 'starttls-pq';

const PATHS = ['20ms', 'near', 'far', 'tunnel', 'lossy'] as const;
type Path = (typeof PATHS)[number];

export interface Case {
  readonly name: string;
  /** The program that speaks, for the tables. */
  readonly program: string;
  readonly kind: Kind;
  readonly security: Security;
  readonly server: string;
  readonly family: 4 | 6;
  readonly timestamps: boolean;
  /** Delay each way; `lossy` loses 1.5 % on top, `tunnel` carries packets of 1400 bytes at most. */
  readonly path: Path;
  readonly repeats: number;
  /** Runs once, before the others. */
  readonly setup?: string;
  readonly run: string;
  /** Between the runs. */
  readonly pauseMs: number;
}

type Options = Partial<Pick<Case, 'family' | 'timestamps' | 'path' | 'repeats' | 'setup' | 'pauseMs'>>;

const cases: Case[] = [];

function add(
  program: string,
  what: string,
  kind: Kind,
  security: Security,
  server: string,
  run: string,
  options: Options = {},
): void {
  const { family = 4, timestamps = true, path = '20ms' } = options;
  const name = [
    program,
    what,
    server,
    ...(family === 6 ? ['v6'] : []),
    ...(timestamps ? [] : ['nots']),
    ...(path === '20ms' ? [] : [path]),
  ].join('-');
  // Exporters tell of a session two seconds after its end: what they say of the second one comes before the third.
  const pauseMs = kind === 'delivering' ? 5000 : 700;
  const rest = { repeats: 4, pauseMs, ...options, family, timestamps, path };
  cases.push({ name, program, kind, security, server, run, ...rest });
}

/** The same over other servers and stacks: 'postfix chain/v6 small/nots exim/lossy'. */
function over(list: string, each: (server: string, options: Options) => void): void {
  for (const item of list.split(' ')) {
    const [server, ...marks] = item.split('/');
    each(server, {
      ...(marks.includes('v6') ? { family: 6 } : {}),
      ...(marks.includes('nots') ? { timestamps: false } : {}),
      ...PATHS.filter((path) => marks.includes(path)).map((path) => ({
        path,
        ...(path === 'lossy' ? { repeats: 6 } : {}),
      }))[0],
    });
  }
}

const PLUGINS = '/usr/lib/nagios/plugins';

function monitoring(): void {
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

function certificateChecks(): void {
  over(
    'postfix exim chain big tls12 ec chain/v6 chain/nots chain/lossy chain/near big/far',
    (server, options) =>
      add(
        'openssl',
        's_client',
        'innocent',
        'starttls',
        server,
        '(sleep 0.6; printf "QUIT\\r\\n"; sleep 0.3) | openssl s_client -starttls smtp -crlf -connect $H:25 -servername mx.example.net',
        options,
      ),
  );
  add(
    'openssl',
    's_client-tls1_2',
    'innocent',
    'starttls',
    'big',
    'openssl s_client -starttls smtp -tls1_2 -connect $H:25 </dev/null',
  );
  add(
    'openssl',
    's_client-eof',
    'innocent',
    'starttls',
    'big',
    'openssl s_client -starttls smtp -connect $H:25 </dev/null',
  );
  add(
    'openssl',
    's_client-reconnect',
    'innocent',
    'starttls',
    'tls12',
    'openssl s_client -starttls smtp -reconnect -connect $H:25 </dev/null',
  );
  const resume = 'openssl s_client -starttls smtp -connect $H:25 -tls1_2';
  add(
    'openssl',
    's_client-resumed',
    'innocent',
    'starttls',
    'postfix',
    `${resume} -sess_in $W/session </dev/null`,
    { setup: `echo QUIT | ${resume} -sess_out $W/session` },
  );
  over('postfix chain ec/v6 small/nots', (server, options) =>
    add(
      'gnutls-cli',
      'starttls',
      'innocent',
      'starttls',
      server,
      '(sleep 0.6; printf "QUIT\\r\\n"; sleep 0.3) | gnutls-cli --starttls-proto=smtp --insecure --port 25 $T',
      options,
    ),
  );
  over('postfix chain big/nots', (server, options) =>
    add(
      'posttls-finger',
      'starttls',
      'innocent',
      'starttls',
      server,
      'posttls-finger -c -l encrypt "[$T]:25"',
      options,
    ),
  );
  over('small chain big/v6', (server, options) =>
    add(
      'node-tls',
      'certificate',
      'innocent',
      'starttls',
      server,
      '$NODE $L/mailer.mjs check $T tls',
      options,
    ),
  );
  over(
    'postfix small chain big tls12 chain/v6 chain/nots ec/lossy chain/near big/far chain/tunnel',
    (server, options) =>
      add(
        'node26-tls',
        'certificate',
        'innocent',
        'starttls-pq',
        server,
        '$NODE_PQ $L/mailer.mjs check $T tls',
        options,
      ),
  );
  over('postfix exim chain big/v6 small/nots', (server, options) =>
    add(
      'pyopenssl',
      'certificate',
      'innocent',
      'starttls-pq',
      server,
      '$PYTHON $L/library.py pyopenssl $T check',
      options,
    ),
  );
}

function scanners(): void {
  add('nmap', 'syn', 'innocent', 'plain', 'postfix', 'nmap -Pn -n -sS -p25 $T');
  add('nmap', 'connect', 'innocent', 'plain', 'plain', 'nmap -Pn -n -sT -p25 $T');
  add('nmap', 'closed', 'innocent', 'plain', 'closed', 'nmap -Pn -n -sT -p25 $T');
  add('nmap', 'banner', 'innocent', 'plain', 'exim', 'nmap -Pn -n -sT -p25 --script banner $T');
  over('postfix chain/v6', (server, options) =>
    add(
      'nmap',
      'smtp-commands',
      'innocent',
      'plain',
      server,
      `nmap ${options.family === 6 ? '-6 ' : ''}-Pn -n -sT -p25 --script smtp-commands $T`,
      options,
    ),
  );
  over('chain big', (server) =>
    add('nmap', 'ssl-cert', 'innocent', 'starttls', server, 'nmap -Pn -n -sT -p25 --script ssl-cert $T'),
  );
  add('nmap', 'version', 'innocent', 'plain', 'postfix', 'nmap -Pn -n -sT -sV -p25 $T', { repeats: 3 });
  add(
    'nmap',
    'smtp-open-relay',
    'scanner',
    'plain',
    'refuse-rcpt',
    'nmap -Pn -n -sT -p25 --script smtp-open-relay $T',
    { repeats: 3 },
  );
  add(
    'nmap',
    'smtp-open-relay',
    'scanner',
    'plain',
    'plain',
    'nmap -Pn -n -sT -p25 --script smtp-open-relay $T',
    { repeats: 3 },
  );
  add(
    'nmap',
    'smtp-enum-users',
    'scanner',
    'plain',
    'refuse-rcpt',
    'nmap -Pn -n -sT -p25 --script smtp-enum-users $T',
    { repeats: 3 },
  );
  add(
    'nmap',
    'ssl-enum-ciphers',
    'scanner',
    'starttls',
    'tls12',
    'nmap -Pn -n -sT -p25 --script ssl-enum-ciphers $T',
    { repeats: 3 },
  );
  const range = '198.51.100.60-89';
  add('nmap', 'syn-30', 'scanner', 'plain', 'mx0', `nmap -Pn -n -sS -p25 ${range}`, { repeats: 3 });
  add('nmap', 'connect-30', 'scanner', 'plain', 'mx0', `nmap -Pn -n -sT -p25 ${range}`, { repeats: 3 });
  add('nmap', 'banner-30', 'scanner', 'plain', 'mx0', `nmap -Pn -n -sT -p25 --script banner ${range}`, {
    repeats: 3,
  });
  add(
    'nmap',
    'commands-30',
    'scanner',
    'plain',
    'mx0',
    `nmap -Pn -n -sT -p25 --script smtp-commands ${range}`,
    { repeats: 3 },
  );
  add(
    'nmap',
    'ssl-cert-30',
    'scanner',
    'starttls',
    'mx0',
    `nmap -Pn -n -sT -p25 --script ssl-cert ${range}`,
    { repeats: 3 },
  );
  add(
    'masscan',
    'syn-30',
    'scanner',
    'plain',
    'mx0',
    `masscan -p25 198.51.100.60-198.51.100.89 --rate 100 --wait 2 --seed $N`,
    { repeats: 3 },
  );
  add(
    'masscan',
    'banner-30',
    'scanner',
    'plain',
    'mx0',
    `masscan -p25 198.51.100.60-198.51.100.89 --rate 100 --wait 6 --banners --source-port 61000 --seed $N`,
    { repeats: 3, setup: 'iptables -A OUTPUT -p tcp --sport 61000 --tcp-flags RST RST -j DROP' },
  );
  const thirty = (command: string) => `for i in $(seq 60 89); do T=198.51.100.$i; ${command}; done`;
  add('bot', 'connect-30', 'scanner', 'plain', 'mx0', thirty('python3 $L/bot.py connect $T'), { repeats: 3 });
  add('bot', 'greeting-30', 'scanner', 'plain', 'mx0', thirty('python3 $L/bot.py greeting-quit $T'), {
    repeats: 3,
  });
  add('check_smtp', 'greeting-30', 'scanner', 'plain', 'mx0', thirty(`${PLUGINS}/check_smtp -H $T`), {
    repeats: 3,
  });
  add(
    'check_smtp',
    'starttls-10',
    'scanner',
    'starttls',
    'mx0',
    `for i in $(seq 60 3 89); do ${PLUGINS}/check_smtp -S -H 198.51.100.$i; done`,
    { repeats: 3 },
  );
  add(
    'node26-tls',
    'certificate-10',
    'scanner',
    'starttls-pq',
    'mx0',
    'for i in $(seq 60 3 89); do $NODE_PQ $L/mailer.mjs check 198.51.100.$i tls; done',
    { repeats: 3 },
  );
}

/** Libraries and command lines that look, but send no message. */
function verifiers(): void {
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

function handmade(): void {
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

function refused(): void {
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

function delivering(): void {
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
  agents(body);
  bots();
}

/** Postfix and Exim as senders. */
function agents(body: (size: number) => string): void {
  const postfix = (level: string, ...more: string[]) =>
    `sh $L/postfix.sh $W/postfix "relayhost = [$T]" "inet_interfaces = 127.0.0.1" "inet_protocols = all" "smtp_tls_security_level = ${level}" "myhostname = pc-17.example.org" ${more.map((each) => `"${each}"`).join(' ')}; sleep 1`;
  const hand = (size: number) =>
    `${body(size)}; swaks --server 127.0.0.1 --from anna@example.org --to bob@example.net --data @$W/mail`;
  const wait = { pauseMs: 6000 };
  for (const [size, servers] of [
    [450, 'postfix plain/nots'],
    [1000, 'exim/v6'],
    [10_000, 'postfix'],
  ] as const)
    over(servers, (server, options) =>
      add('postfix', `${size}`, 'delivering', 'plain', server, hand(size), {
        setup: postfix('none'),
        ...wait,
        ...options,
      }),
    );
  over('postfix chain exim/v6 big/nots', (server, options) =>
    add('postfix', 'tls-450', 'delivering', 'starttls', server, hand(450), {
      setup: postfix('encrypt'),
      ...wait,
      ...options,
    }),
  );
  add(
    'smtp-source',
    '450',
    'delivering',
    'plain',
    'postfix',
    'smtp-source -c -l 450 -m 1 -f anna@example.org -t bob@example.net $T:25',
  );

  const exim = (...options: string[]) => ({
    setup: `TARGET=$T sh $L/exim.sh $W client ${options.map((each) => `"${each}"`).join(' ')}`,
  });
  const queue = (size: number) =>
    `${body(size)}; exim4 -C $W/exim.conf -odi -f anna@example.org bob@example.net <$W/mail`;
  for (const [size, servers] of [
    [450, 'exim small/nots exim/near'],
    [1000, 'exim/v6 exim/far'],
    [10_000, 'exim'],
  ] as const)
    over(servers, (server, options) =>
      add('exim', `chunking-${size}`, 'delivering', 'plain', server, queue(size), {
        ...exim('hosts_avoid_tls = *'),
        ...options,
      }),
    );
  over('postfix plain', (server) =>
    add(
      'exim',
      '450',
      'delivering',
      'plain',
      server,
      queue(450),
      exim('hosts_avoid_tls = *', 'hosts_try_chunking ='),
    ),
  );
  over('exim chain/nots', (server, options) =>
    add('exim', 'tls-450', 'delivering', 'starttls', server, queue(450), {
      ...exim('hosts_require_tls = *', 'tls_verify_certificates ='),
      ...options,
    }),
  );
}

function bots(): void {
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

function authorised(): void {
  const wait = { pauseMs: 300, repeats: 20 };
  const send = 'swaks --server 127.0.0.1 --from anna@example.org --to bob@example.net,carl@example.net';
  const setup = (level: string) =>
    `sh $L/postfix.sh $W/postfix "relayhost = [$T]" "inet_interfaces = 127.0.0.1" "inet_protocols = all" "smtp_tls_security_level = ${level}" "myhostname = mail.example.org"; sleep 1`;
  add('postfix', 'server', 'authorised', 'plain', 'exim', send, { setup: setup('none'), ...wait });
  add('postfix', 'server', 'authorised', 'starttls', 'chain', send, { setup: setup('may'), ...wait });
  add('postfix', 'server', 'authorised', 'starttls', 'postfix', send, {
    setup: setup('may'),
    family: 6,
    ...wait,
  });
}

monitoring();
certificateChecks();
scanners();
verifiers();
handmade();
refused();
delivering();
authorised();

/** In a fixed order: a case's address follows from its place. */
export const CASES: readonly Case[] = cases;

/** A third of the cases, by their names alone: nobody sets a bound by what they show. */
export function isHeldOut(name: string): boolean {
  return createHash('sha256').update(name).digest()[0] % 3 === 0;
}

export function caseAddress(index: number): string {
  const { family } = CASES[index];
  return family === 6
    ? `2001:db8:77::${(index + 0x100).toString(16)}`
    : `10.77.${1 + Math.floor(index / 200)}.${10 + (index % 200)}`;
}
