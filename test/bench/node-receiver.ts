/**
 * Two receivers on Node to compare the collector with: one that counts datagrams, which is what Node's socket costs by
 * itself, and one that decodes into node-netflowv9's objects. Arguments: UDP port, receive buffer, `count` or `objects`.
 */

import { createSocket } from 'node:dgram';
import { createObjectDecoder } from './node-netflowv9.ts';

const [port, receiveBuffer, kind] = process.argv.slice(2);
const decode = createObjectDecoder();
const socket = createSocket('udp4');
let datagrams = 0;
let flows = 0;
socket.on('message', (bytes) => {
  datagrams++;
  if (kind === 'objects') flows += decode(bytes);
});
socket.bind(Number(port), '127.0.0.1', () => socket.setRecvBufferSize(Number(receiveBuffer)));
process.on('SIGTERM', () => {
  process.stdout.write(`${JSON.stringify({ datagrams, flows })}\n`);
  process.exit(0);
});
