/** A TCP or TLS connection to a target, closed at the latest when its signal is aborted. */

import { connect, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

export interface ConnectionTarget {
  readonly host: string;
  readonly port: number;
  /** TLS from the start; `ca`: authorities in PEM instead of those of the system. */
  readonly tls?: { readonly ca?: string };
}

/** Rejects with the error of the system or the reason of the signal. The socket keeps a listener for late errors. */
export function openConnection({ host, port, tls }: ConnectionTarget, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const socket =
      tls === undefined
        ? connect({ host, port })
        : connectTls({ host, port, ...tls, ...(isIP(host) === 0 && { servername: host }) });
    const onAbort = () => {
      socket.destroy();
      reject(signal.reason);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    socket.on('error', reject);
    socket.once('close', () => signal.removeEventListener('abort', onAbort));
    socket.once(tls === undefined ? 'connect' : 'secureConnect', () => resolve(socket));
  });
}
