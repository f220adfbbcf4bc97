import { expect, test } from 'vitest';
import { inheritedSockets } from '../../src/collect/inherited-sockets.ts';

test('descriptors begin at 3 and carry their names', () => {
  const environment = { LISTEN_PID: '77', LISTEN_FDS: '3', LISTEN_FDNAMES: 'netflow:ipfix' };
  expect(inheritedSockets(environment, 77)).toEqual([
    { fd: 3, name: 'netflow' },
    { fd: 4, name: 'ipfix' },
    { fd: 5, name: 'fd 5' },
  ]);
});

test('descriptors meant for another process are left alone', () => {
  expect(inheritedSockets({ LISTEN_PID: '76', LISTEN_FDS: '1' }, 77)).toEqual([]);
  expect(inheritedSockets({ LISTEN_FDS: '1' }, 77)).toEqual([]);
});

test.each(['', '0', '-1', '1e9', 'x', '1.5'])('LISTEN_FDS=%s passes nothing', (count) => {
  expect(inheritedSockets({ LISTEN_PID: '77', LISTEN_FDS: count }, 77)).toEqual([]);
});
