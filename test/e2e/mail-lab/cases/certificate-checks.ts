/** Programs that look at a certificate, and leave. */

import { type AddCase, over } from './case.ts';

export function certificateChecks(add: AddCase): void {
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
