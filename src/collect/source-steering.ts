/**
 * Which of several sockets on one port gets a datagram: by its source address alone, so that templates and sequence numbers
 * of an exporter stay where its data is.
 *
 * The same calculation stands here twice: as a program of classic BPF that the kernel runs (SO_ATTACH_REUSEPORT_CBPF,
 * socket(7)), and in TypeScript, for what is kept of the last run.
 */

import type { AddressBytes } from '../flow/address.ts';

/** Golden ratio times 2^32: spreads neighbouring addresses (Knuth, TAOCP 3, 6.4). */
const FACTOR = 0x9e3779b1;
/** The third word of ::ffff:0:0/96: an IPv4 address is calculated as if it were mapped. */
const MAPPED = 0xffff;
/** SKF_NET_OFF: offsets from the IP header (linux/filter.h). */
const IP_HEADER = 0xfff00000;
const IN_SOURCE_AT = 12;
const IN6_SOURCE_AT = 8;

const LOAD_BYTE = 0x30;
const LOAD_WORD = 0x20;
const SHIFT_RIGHT = 0x74;
const XOR = 0xa4;
const XOR_X = 0xac;
const MULTIPLY = 0x24;
const REMAINDER = 0x94;
const TO_X = 0x07;
const JUMP = 0x05;
const JUMP_IF_EQUAL = 0x15;
const RETURN_A = 0x16;
const RETURN = 0x06;

/** struct sock_filter: code, how far to jump if true and if false, operand. */
type Instruction = readonly [code: number, ifTrue: number, ifFalse: number, operand: number];
const INSTRUCTION_BYTES = 8;

/** Which of `sockets` sockets gets datagrams from an address (16 bytes). */
export function socketOfSource(address: AddressBytes, sockets: number): number {
  let word = 0;
  for (let at = 0; at < 16; at += 4)
    word ^= (address[at] << 24) | (address[at + 1] << 16) | (address[at + 2] << 8) | address[at + 3];
  return (Math.imul(word, FACTOR) >>> 16) % sockets;
}

/** The program that returns the number of the socket; sockets are numbered in the order of their binding. */
export function steeringProgram(sockets: number): Buffer {
  return programOf([
    [LOAD_BYTE, 0, 0, IP_HEADER],
    [SHIFT_RIGHT, 0, 0, 4],
    [JUMP_IF_EQUAL, 3, 0, 6],
    [LOAD_WORD, 0, 0, IP_HEADER + IN_SOURCE_AT],
    [XOR, 0, 0, MAPPED],
    [JUMP, 0, 0, 10],
    [LOAD_WORD, 0, 0, IP_HEADER + IN6_SOURCE_AT],
    ...[4, 8, 12].flatMap((offset): Instruction[] => [
      [TO_X, 0, 0, 0],
      [LOAD_WORD, 0, 0, IP_HEADER + IN6_SOURCE_AT + offset],
      [XOR_X, 0, 0, 0],
    ]),
    [MULTIPLY, 0, 0, FACTOR],
    [SHIFT_RIGHT, 0, 0, 16],
    [REMAINDER, 0, 0, sockets],
    [RETURN_A, 0, 0, 0],
  ]);
}

/** As a socket filter (SO_ATTACH_FILTER): takes nothing. The kernel counts what it throws away then. */
export const TAKE_NOTHING = programOf([[RETURN, 0, 0, 0]]);

function programOf(instructions: readonly Instruction[]): Buffer {
  const program = Buffer.alloc(INSTRUCTION_BYTES * instructions.length);
  instructions.forEach(([code, ifTrue, ifFalse, operand], i) => {
    const at = INSTRUCTION_BYTES * i;
    program.writeUInt16LE(code, at);
    program[at + 2] = ifTrue;
    program[at + 3] = ifFalse;
    program.writeUInt32LE(operand, at + 4);
  });
  return program;
}
