<?php
// What PHP scripts do: a socket and fwrite, in the way of the mailer classes that they bring along.
// mail.php check|send|send-tls ADDRESS [SIZE]
[, $action, $address] = $argv;
$host = str_contains($address, ':') ? "[$address]" : $address;
$socket = stream_socket_client("tcp://$host:25", $code, $error, 30);
$answer = function () use (&$socket) {
    do {
        $line = fgets($socket, 515);
    } while ($line !== false && substr($line, 3, 1) === '-');
    return (int) $line;
};
$ask = function (string $line) use (&$socket, $answer) {
    fwrite($socket, "$line\r\n");
    return $answer();
};
$answer();
$ask('EHLO web1.example.org');
if ($action === 'send-tls' || $action === 'check-tls') {
    $ask('STARTTLS');
    stream_context_set_option($socket, ['ssl' => ['verify_peer' => false, 'verify_peer_name' => false]]);
    stream_socket_enable_crypto($socket, true, STREAM_CRYPTO_METHOD_TLS_CLIENT);
    $ask('EHLO web1.example.org');
}
if (str_starts_with($action, 'send')) {
    $ask('MAIL FROM:<www-data@example.org>');
    if ($ask('RCPT TO:<bob@example.net>') < 300 && $ask('DATA') === 354) {
        $head = ['Date: Sat, 28 Nov 2026 12:00:00 +0000', 'To: bob@example.net', 'From: Web <www-data@example.org>', 'Subject: Your order',
            'Message-ID: <' . bin2hex(random_bytes(16)) . '@web1.example.org>', 'X-Mailer: PHP', 'MIME-Version: 1.0',
            'Content-Type: text/plain; charset=iso-8859-1', ''];
        $line = 'All work and no play makes a very dull day for everybody here.';
        // A write for each line.
        foreach ($head as $each) fwrite($socket, "$each\r\n");
        for ($left = (int) $argv[3] - 330; $left > 0; $left -= strlen($line) + 2) fwrite($socket, "$line\r\n");
        $ask("\r\n.");
    }
}
$ask('QUIT');
fclose($socket);
