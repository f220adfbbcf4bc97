/**
 * Calls into the C library, through the optional npm package koffi. This is the only module that loads it.
 *
 * Node has no way to confine a process, to receive several datagrams in one call or to wait for a descriptor that it did
 * not open. Where koffi or the library is missing, the caller is told why and goes on without.
 */

type Koffi = typeof import('koffi');

export interface NativeLibrary {
  /** A function of the C library by its prototype, such as `int close(int fd)`. Throws when there is none of that name. */
  readonly func: (prototype: string) => ReturnType<ReturnType<Koffi['load']>['func']>;
  /** Where the bytes of a buffer lie. They stay there as long as the buffer is referenced. */
  readonly address: (bytes: Buffer) => bigint;
  /** Why the last call of this thread failed: its positive number. */
  readonly errno: () => number;
  /**
   * Calls back on the event loop while a descriptor is readable, until `stop` or `close`. The callback is not a turn of
   * its own (promises do not settle behind it) and must not throw.
   */
  readonly watch: (descriptor: number, onReadable: () => void) => DescriptorWatch;
}

export interface DescriptorWatch {
  start(onReadable: () => void): void;
  stop(): void;
  /** Call before the descriptor is closed. */
  close(): void;
}

/** On Linux with glibc and koffi the library; elsewhere, in plain words, why not. */
export async function loadNative(): Promise<NativeLibrary | string> {
  if (process.platform !== 'linux') return `${process.platform} is not supported`;
  let koffi: Koffi;
  try {
    koffi = (await import('koffi')).default as unknown as Koffi;
  } catch {
    return 'the optional npm package koffi is not installed';
  }
  try {
    const library = koffi.load('libc.so.6');
    return {
      func: (prototype) => library.func(prototype),
      address: (bytes) => koffi.address(bytes),
      errno: () => koffi.errno(),
      watch: (descriptor, onReadable) => koffi.node.poll(descriptor, onReadable),
    };
  } catch {
    return 'the C library is not glibc';
  }
}
