/**
 * A UDP socket of our own, by the calls of the C library: what node:dgram offers no way to.
 *
 * Numbers and layouts are those of Linux on x86-64 and arm64, which are the same, and little-endian. Sources: socket(7),
 * udp(7), ipv6(7), recvmmsg(2), linux/sock_diag.h, asm-generic/socket.h.
 */

import { endianness, networkInterfaces } from 'node:os';
import { getSystemErrorName } from 'node:util';
import type { SocketAddress } from '../config/values.ts';
import { formatAddress, parseAddress } from '../flow/address.ts';
import { type DescriptorWatch, loadNative } from '../native.ts';
import { TAKE_NOTHING } from './source-steering.ts';

const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_DGRAM = 2;
/** Not handed on to programs that this process starts, and never waited for. */
const SOCK_CLOEXEC_NONBLOCK = 0x80000 | 0x800;
export const SOL_SOCKET = 1;
const SO_RCVBUF = 8;
const SO_REUSEPORT = 15;
const SO_ATTACH_FILTER = 26;
const SO_DETACH_FILTER = 27;
const SO_RCVBUFFORCE = 33;
/** Also the type of the control message (SCM_TIMESTAMPNS), which holds seconds and nanoseconds of 64 bits each. */
export const SO_TIMESTAMPNS = 35;
const SO_ATTACH_REUSEPORT_CBPF = 51;
const SO_MEMINFO = 55;
const IPPROTO_IPV6 = 41;
const IPV6_V6ONLY = 26;
const MSG_DONTWAIT = 0x40;
/** SK_MEMINFO_DROPS: the ninth of the numbers of 32 bits that SO_MEMINFO fills. */
const MEMINFO_DROPS = 8;
const MEMINFO_BYTES = 36;

export const EINTR = 4;
export const EAGAIN = 11;

/** Bytes of the largest socket address here (struct sockaddr_in6), and where its parts lie. */
export const SOCKADDR_BYTES = 28;
const SOCKADDR_IN_BYTES = 16;
const PORT_AT = 2;
const IN_ADDRESS_AT = 4;
const IN6_ADDRESS_AT = 8;
const IN6_SCOPE_AT = 24;

/** An error of a call; `code` is its name, such as EADDRINUSE. */
export class SocketCallError extends Error {
  readonly code: string;
  constructor(call: string, errno: number) {
    const code = getSystemErrorName(-errno);
    super(`${call} ${code}`);
    this.code = code;
  }
}

export interface UdpCalls {
  /** Opens a socket; the caller closes it. Throws SocketCallError. */
  open(address: SocketAddress, options: OpenOptions): number;
  /** What the socket is bound to. */
  boundAddress(descriptor: number): SocketAddress;
  /** Asks for so many bytes of receive buffer, past net.core.rmem_max where this process may (CAP_NET_ADMIN). */
  askReceiveBuffer(descriptor: number, bytes: number): void;
  /** Has the kernel note when each datagram arrives; no effect where it cannot. */
  stampArrivals(descriptor: number): void;
  /** Bytes of receive buffer, as they are asked for: the kernel takes twice as many, for its own book-keeping. */
  receiveBuffer(descriptor: number): number;
  /** Datagrams dropped since the socket was opened, modulo 2^32; null when the kernel does not tell (before 4.12). */
  drops(descriptor: number): number | null;
  /**
   * Receives up to `slots` datagrams into the messages (struct mmsghdr) without waiting: how many there were, or, negative,
   * the number of the error; -EAGAIN when there was none.
   */
  receive(descriptor: number, messages: Buffer, slots: number): number;
  /** Throws away what arrives from now on (it is counted as dropped), until `admit`. What waits in the socket stays. */
  refuse(descriptor: number): void;
  admit(descriptor: number): void;
  /** Spreads datagrams over all sockets that are bound to the same port, by a program: see source-steering.ts. */
  steer(descriptor: number, program: Buffer): void;
  close(descriptor: number): void;
  address(bytes: Buffer): bigint;
  watch(descriptor: number, onReadable: () => void): DescriptorWatch;
}

interface OpenOptions {
  readonly ipv6Only: boolean;
  readonly reusePort: boolean;
  /** Takes nothing until `admit`. */
  readonly refusing?: boolean;
}

let loaded: Promise<UdpCalls | string> | undefined;

/** The calls, or in plain words why there are none here. */
export function loadUdpCalls(): Promise<UdpCalls | string> {
  loaded ??= load();
  return loaded;
}

async function load(): Promise<UdpCalls | string> {
  if ((process.arch !== 'x64' && process.arch !== 'arm64') || endianness() !== 'LE')
    return `the processor type ${process.arch} is not supported`;
  const native = await loadNative();
  if (typeof native === 'string') return native;
  const { func, errno, address: addressOf } = native;
  const socket = func('int socket(int family, int type, int protocol)');
  const bind = func('int bind(int fd, void *address, unsigned int length)');
  const getsockname = func('int getsockname(int fd, void *address, void *length)');
  const setsockopt = func('int setsockopt(int fd, int level, int name, void *value, unsigned int length)');
  const getsockopt = func('int getsockopt(int fd, int level, int name, void *value, void *length)');
  const recvmmsg = func('int recvmmsg(int fd, void *messages, unsigned int slots, int flags, void *timeout)');
  const closeDescriptor = func('int close(int fd)');

  function check(call: string, result: number): number {
    if (result < 0) throw new SocketCallError(call, errno());
    return result;
  }

  function setOption(descriptor: number, level: number, name: number, value: number): number {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32LE(value);
    return setsockopt(descriptor, level, name, bytes, 4);
  }

  /** Bytes of an option of at most so many; fewer where the kernel knows fewer, null when it does not know it. */
  function getOption(descriptor: number, name: number, size: number): Buffer | null {
    const value = Buffer.alloc(size);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(size);
    if (getsockopt(descriptor, SOL_SOCKET, name, value, length) < 0) return null;
    return value.subarray(0, length.readUInt32LE());
  }

  function receiveBuffer(descriptor: number): number {
    return (getOption(descriptor, SO_RCVBUF, 4)?.readInt32LE() ?? 0) / 2;
  }

  /** struct sock_fprog: the number of instructions, then where they lie. */
  function setProgram(descriptor: number, name: number, program: Buffer): number {
    const value = Buffer.alloc(16);
    value.writeUInt16LE(program.length / 8);
    value.writeBigUInt64LE(addressOf(program), 8);
    return setsockopt(descriptor, SOL_SOCKET, name, value, value.length);
  }

  const calls: UdpCalls = {
    open(address, { ipv6Only, reusePort, refusing = false }) {
      const name = sockaddrOf(address);
      const family = name.readUInt16LE();
      const descriptor = check('socket', socket(family, SOCK_DGRAM | SOCK_CLOEXEC_NONBLOCK, 0));
      try {
        if (family === AF_INET6)
          check('setsockopt IPV6_V6ONLY', setOption(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, ipv6Only ? 1 : 0));
        if (reusePort) check('setsockopt SO_REUSEPORT', setOption(descriptor, SOL_SOCKET, SO_REUSEPORT, 1));
        if (refusing) calls.refuse(descriptor);
        check('bind', bind(descriptor, name, name.length));
      } catch (error) {
        closeDescriptor(descriptor);
        throw error;
      }
      return descriptor;
    },
    boundAddress(descriptor) {
      const name = Buffer.alloc(SOCKADDR_BYTES);
      const length = Buffer.alloc(4);
      length.writeUInt32LE(SOCKADDR_BYTES);
      check('getsockname', getsockname(descriptor, name, length));
      return { host: sockaddrHost(name, 0), port: sockaddrPort(name, 0) };
    },
    askReceiveBuffer(descriptor, bytes) {
      setOption(descriptor, SOL_SOCKET, SO_RCVBUF, bytes);
      if (receiveBuffer(descriptor) < bytes) setOption(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, bytes);
    },
    stampArrivals(descriptor) {
      setOption(descriptor, SOL_SOCKET, SO_TIMESTAMPNS, 1);
    },
    receiveBuffer,
    drops(descriptor) {
      const info = getOption(descriptor, SO_MEMINFO, MEMINFO_BYTES);
      return info === null || info.length < MEMINFO_BYTES ? null : info.readUInt32LE(4 * MEMINFO_DROPS);
    },
    receive(descriptor, messages, slots) {
      const received: number = recvmmsg(descriptor, messages, slots, MSG_DONTWAIT, null);
      return received < 0 ? -errno() : received;
    },
    refuse(descriptor) {
      check('setsockopt SO_ATTACH_FILTER', setProgram(descriptor, SO_ATTACH_FILTER, TAKE_NOTHING));
    },
    admit(descriptor) {
      check('setsockopt SO_DETACH_FILTER', setOption(descriptor, SOL_SOCKET, SO_DETACH_FILTER, 0));
    },
    steer(descriptor, program) {
      check('setsockopt SO_ATTACH_REUSEPORT_CBPF', setProgram(descriptor, SO_ATTACH_REUSEPORT_CBPF, program));
    },
    close(descriptor) {
      closeDescriptor(descriptor);
    },
    address: addressOf,
    watch: native.watch,
  };
  return refusal(calls) ?? calls;
}

/** Sandboxes and filters of system calls may refuse what the library offers. */
function refusal(calls: UdpCalls): string | null {
  let descriptor = -1;
  try {
    descriptor = calls.open({ host: '127.0.0.1', port: 0 }, { ipv6Only: false, reusePort: false });
    const error = calls.receive(descriptor, Buffer.alloc(64), 0);
    if (error < 0) throw new SocketCallError('recvmmsg', -error);
    calls.watch(descriptor, () => undefined).close();
    return null;
  } catch (error) {
    return `the system refuses it (${error instanceof Error ? error.message : String(error)})`;
  } finally {
    if (descriptor >= 0) calls.close(descriptor);
  }
}

function sockaddrOf({ host, port }: SocketAddress): Buffer {
  const bytes = parseAddress(host);
  if (bytes === null) throw new TypeError(`"${host}" is not an address`);
  const isIPv6 = host.includes(':');
  const name = Buffer.alloc(isIPv6 ? SOCKADDR_BYTES : SOCKADDR_IN_BYTES);
  name.writeUInt16LE(isIPv6 ? AF_INET6 : AF_INET, 0);
  name.writeUInt16BE(port, PORT_AT);
  if (isIPv6) name.set(bytes, IN6_ADDRESS_AT);
  else name.set(bytes.subarray(12), IN_ADDRESS_AT);
  return name;
}

/** The port of the socket address at `at`. */
export function sockaddrPort(names: Buffer, at: number): number {
  return (names[at + PORT_AT] << 8) | names[at + PORT_AT + 1];
}

/**
 * Text of the address at `at`; an IPv4 address is dotted, that of an IPv6 socket too. Behind a link-local address stand `%`
 * and its interface.
 */
export function sockaddrHost(names: Buffer, at: number): string {
  const address = at + (names.readUInt16LE(at) === AF_INET6 ? IN6_ADDRESS_AT : IN_ADDRESS_AT);
  if (address === at + IN_ADDRESS_AT) return names.subarray(address, address + 4).join('.');
  const text = formatAddress(names, address);
  const isLinkLocal = names[address] === 0xfe && (names[address + 1] & 0xc0) === 0x80;
  return isLinkLocal ? `${text}%${interfaceName(names.readUInt32LE(at + IN6_SCOPE_AT))}` : text;
}

const interfaceNames = new Map<number, string>();

/** The kernel gives an index; it has few, and only those of interfaces that something came in by. */
function interfaceName(index: number): string {
  let name = interfaceNames.get(index);
  if (name === undefined) {
    const found = Object.entries(networkInterfaces()).find(([, addresses]) =>
      addresses?.some((address) => address.family === 'IPv6' && address.scopeid === index),
    );
    name = found?.[0] ?? String(index);
    interfaceNames.set(index, name);
  }
  return name;
}
