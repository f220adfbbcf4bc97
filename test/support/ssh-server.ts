/** An SSH server of the tests' own: lets `rogue` in with a password and hands each terminal or NETCONF channel to a device. */

import { createHash, generateKeyPairSync } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import ssh2, { type Connection, type ServerChannel } from 'ssh2';

export interface Device {
  shell?(channel: ServerChannel, connection: Connection): void;
  netconf?(channel: ServerChannel, connection: Connection): void;
}

export interface RunningSshServer {
  readonly port: number;
  readonly hostKey: string;
  readonly logins: () => number;
  close(): Promise<void>;
}

export const PASSWORD = 'correct horse battery staple';

export async function startSshServer(device: Device): Promise<RunningSshServer> {
  // Not ssh2's own generator: one in about 270 of its Ed25519 keys is one that it cannot read.
  const { privateKey } = generateKeyPairSync('ec', {
    namedCurve: 'prime256v1',
    privateKeyEncoding: { type: 'sec1', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
  const parsed = ssh2.utils.parseKey(privateKey);
  if (parsed instanceof Error) throw parsed;
  const open = new Set<Connection>();
  let logins = 0;
  const server = new ssh2.Server({ hostKeys: [privateKey] }, (connection) => {
    open.add(connection);
    connection.on('error', () => undefined);
    connection.on('close', () => open.delete(connection));
    connection.on('authentication', (context) => {
      if (context.method === 'password' && context.username === 'rogue' && context.password === PASSWORD)
        context.accept();
      else context.reject(['password']);
    });
    connection.on('ready', () => {
      logins++;
      connection.on('session', (accept) => {
        const session = accept();
        session.on('pty', (acceptPty) => acceptPty?.());
        session.on('shell', (acceptShell) => device.shell?.(acceptShell(), connection));
        session.on('subsystem', (acceptSubsystem, reject, info) => {
          if (info.name === 'netconf' && device.netconf !== undefined)
            device.netconf(acceptSubsystem(), connection);
          else reject();
        });
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    hostKey: `SHA256:${createHash('sha256').update(parsed.getPublicSSH()).digest('base64').replace(/=+$/, '')}`,
    logins: () => logins,
    async close() {
      for (const connection of open) connection.end();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
