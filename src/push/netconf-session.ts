/**
 * A NETCONF session (RFC 6241) over an SSH channel: hello, then one request at a time.
 *
 * An answer with an error in it is an exception, one with mere warnings is not. Whatever a device sends is untrusted: no
 * document types, bounded size, only the answer to the request that was made.
 */

import { XMLParser } from 'fast-xml-parser';
import type { ClientChannel } from 'ssh2';
import { messageOf } from '../errors.ts';
import { createArrival } from './arrival.ts';
import { createDeframer, type Framing, frame } from './netconf-framing.ts';
import { DeviceError, shown, type Transcript } from './report.ts';

/** Elements by name without prefix; text as `#text` where there are attributes, attributes as `@_name`. */
export type XmlNode = Readonly<Record<string, unknown>>;

export interface NetconfSession {
  readonly capabilities: readonly string[];
  /** Sends the operation and returns the children of rpc-reply. Throws DeviceError for rpc-error and for no answer. */
  rpc(operation: string): Promise<XmlNode>;
  /** Says goodbye; never throws. */
  close(): Promise<void>;
}

const BASE = 'urn:ietf:params:netconf:base:';
const HELLO = `<?xml version="1.0" encoding="UTF-8"?><hello xmlns="${BASE}1.0"><capabilities><capability>${BASE}1.0</capability><capability>${BASE}1.1</capability></capabilities></hello>`;

/** Throws DeviceError. */
export async function openNetconf(
  channel: ClientChannel,
  timeoutMs: number,
  transcript: Transcript,
): Promise<NetconfSession> {
  const deframer = createDeframer();
  const arrived: string[] = [];
  const arrival = createArrival(channel, timeoutMs);
  let framing: Framing = 'end-of-message';
  let lastId = 0;
  const receive = (data: Buffer) => {
    try {
      arrived.push(...deframer.push(data));
      arrival.notify();
    } catch (error) {
      arrival.fail(`NETCONF: ${messageOf(error)}`);
    }
  };
  channel.on('data', receive);
  const next = (what: string) =>
    arrival.until(
      () => arrived.shift() ?? null,
      () => `${what}: no answer`,
    );

  channel.write(frame(HELLO, framing));
  const hello = child(parse(await next('hello')), 'hello');
  const capabilities = texts(child(hello, 'capabilities').capability);
  if (!capabilities.some((one) => one.startsWith(BASE)))
    throw new DeviceError('the device does not speak NETCONF');
  if (capabilities.includes(`${BASE}1.1`)) framing = 'chunked';
  deframer.use(framing);
  receive(Buffer.alloc(0));

  return {
    capabilities,
    async rpc(operation) {
      const failure = arrival.failure();
      if (failure !== null) throw failure;
      lastId += 1;
      transcript.add('>', operation);
      channel.write(frame(`<rpc message-id="${lastId}" xmlns="${BASE}1.0">${operation}</rpc>`, framing));
      const text = await next(shown(operation).slice(0, 60));
      transcript.add('<', text.trim());
      const reply = child(parse(text), 'rpc-reply');
      if (reply['@_message-id'] !== String(lastId))
        throw new DeviceError('the device answers another request');
      const errors = nodes(reply['rpc-error']).filter((one) => one['error-severity'] !== 'warning');
      if (errors.length > 0) throw rpcError(errors[0]);
      return reply;
    },
    async close() {
      if (arrival.failure() === null) {
        channel.write(
          frame(`<rpc message-id="${lastId + 1}" xmlns="${BASE}1.0"><close-session/></rpc>`, framing),
        );
        await next('close-session').catch(() => undefined);
      }
      channel.end();
    },
  };
}

function rpcError(error: XmlNode): DeviceError {
  const tag = textOf(error['error-tag']);
  const message = textOf(error['error-message']).replace(/\s+/g, ' ').trim();
  return new DeviceError(
    `the device refuses: ${shown(`${tag === '' ? '' : `${tag}: `}${message}`).slice(0, 300)}`,
    {
      // Somebody else is at work there; that ends.
      transient: tag === 'lock-denied' || tag === 'in-use' || tag === 'resource-denied',
    },
  );
}

const PARSER = new XMLParser({
  ignoreAttributes: false,
  removeNSPrefix: true,
  parseTagValue: false,
  parseAttributeValue: false,
  trimValues: true,
});

function parse(text: string): XmlNode {
  // RFC 6241 section 3: they must not appear, and entities of one's own come with them.
  if (/<!DOCTYPE/i.test(text)) throw new DeviceError('the device sends a document type');
  try {
    const parsed: unknown = PARSER.parse(text);
    return isNode(parsed) ? parsed : {};
  } catch (error) {
    throw new DeviceError(`the device sends what is no XML: ${messageOf(error)}`);
  }
}

function isNode(value: unknown): value is XmlNode {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The one element of this name; an empty one when there is none. */
export function child(node: XmlNode, ...path: readonly string[]): XmlNode {
  let at: XmlNode = node;
  for (const name of path) {
    const value = at[name];
    const first: unknown = Array.isArray(value) ? value[0] : value;
    at = isNode(first) ? first : {};
  }
  return at;
}

/** All elements of a name: none, one or many. */
export function nodes(value: unknown): readonly XmlNode[] {
  return (Array.isArray(value) ? value : [value]).filter(isNode);
}

function texts(value: unknown): readonly string[] {
  return (Array.isArray(value) ? value : [value]).map(textOf);
}

/** '' for what has no text. */
export function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  return isNode(value) ? textOf(value['#text'] ?? '') : '';
}
