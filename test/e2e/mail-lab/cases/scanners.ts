/** nmap, masscan and others that look at one server or at many. */

import { type AddCase, over } from './case.ts';
import { PLUGINS } from './monitoring.ts';

export function scanners(add: AddCase): void {
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
