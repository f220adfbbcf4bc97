// nodemailer and bare node:tls as clients.   mailer.mjs verify|send|check ADDRESS plain|tls [SIZE] [RECIPIENTS]
// NODEMAILER names the module. `check` asks for the certificate and leaves.
import { createRequire } from 'node:module';
import net from 'node:net';
import tls from 'node:tls';

const [action, host, security, size = '1000', recipients = '1'] = process.argv.slice(2);

if (action === 'check') {
  const socket = net.connect(25, host);
  let text = '';
  let step = 0;
  socket.on('data', (data) => {
    text += data;
    if (!/^\d{3} .*\r\n/m.test(text)) return;
    text = '';
    step++;
    if (step === 1) socket.write('EHLO pc-17.example.org\r\n');
    else if (step === 2) socket.write('STARTTLS\r\n');
    else if (step === 3) {
      socket.removeAllListeners('data');
      const secure = tls.connect({ socket, servername: 'mx.example.net', rejectUnauthorized: false }, () => {
        console.log(secure.getPeerCertificate().subject, secure.getCipher().name);
        secure.end('QUIT\r\n');
      });
      secure.on('data', () => undefined);
      // Some servers reset instead of closing.
      secure.on('error', () => undefined);
    }
  });
} else {
  const nodemailer = createRequire(import.meta.url)(process.env.NODEMAILER);
  const transport = nodemailer.createTransport({
    host,
    port: 25,
    secure: false,
    name: 'pc-17.example.org',
    ignoreTLS: security === 'plain',
    requireTLS: security === 'tls',
    tls: { rejectUnauthorized: false },
  });
  if (action === 'verify') await transport.verify();
  else {
    const line = 'All work and no play makes a very dull day for everybody here.\n';
    const to = Array.from({ length: Number(recipients) }, (_, n) => `bob${n}@example.net`);
    await transport
      .sendMail({
        from: 'anna@example.org',
        to,
        subject: 'Report',
        text: line.repeat(Number(size) / line.length + 1).slice(0, Math.max(20, Number(size) - 300)),
      })
      .catch((error) => console.log(error.message));
  }
  transport.close();
}
