import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseUdpSockets } from '../../src/collect/kernel-drops.ts';

const HEADER =
  '   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops             \n';

test('IPv4 sockets are told with address, port, inode and drops', () => {
  const text = `${HEADER}  477: 0100007F:0807 00000000:0000 07 00000000:00000300 00:00000000 00000000     0        0 4242 2 0000000000000000 17          \n 2048: 00000000:12C7 00000000:0000 07 00000000:00000000 00:00000000 00000000  1000        0 99 2 0000000000000000 4294967295\n`;
  expect(parseUdpSockets(text, 4)).toEqual([
    { family: 4, address: '127.0.0.1', port: 2055, inode: 4242, drops: 17 },
    { family: 4, address: '0.0.0.0', port: 4807, inode: 99, drops: 4294967295 },
  ]);
});

test('IPv6 sockets are told with their address in text', () => {
  const line = (address: string) =>
    `  1: ${address}:0807 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 7 2 0000000000000000 3\n`;
  const text = HEADER + line('00000000000000000000000000000000') + line('B80D0120000000000000000001000000');
  expect(parseUdpSockets(text, 6).map((entry) => entry.address)).toEqual(['::', '2001:db8::1']);
  expect(parseUdpSockets(text, 4)).toEqual([]);
});

test('a counter that the kernel prints as negative is taken modulo 2^32', () => {
  const text =
    ' 1: 00000000:0807 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 7 2 0000000000000000 -1\n';
  expect(parseUdpSockets(text, 4)[0].drops).toBe(4294967295);
});

test('anything else is left out, never an exception', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 300 }), (text) => {
      parseUdpSockets(text, 4);
      parseUdpSockets(text, 6);
    }),
  );
  expect(parseUdpSockets('', 4)).toEqual([]);
  expect(parseUdpSockets('  1: 0100007F:0807 short', 4)).toEqual([]);
});
