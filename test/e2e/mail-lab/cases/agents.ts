/** Mail servers as senders, undeclared and declared. */

import { type AddCase, over } from './case.ts';

/** Postfix and Exim as senders. */
export function agents(add: AddCase, body: (size: number) => string): void {
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

export function authorised(add: AddCase): void {
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
