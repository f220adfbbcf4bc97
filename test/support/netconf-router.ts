/**
 * A Junos device as far as a push sees one: NETCONF over SSH with a candidate, a lock, commits on trial, and `rollback 1`.
 *
 * Written from RFC 6241, RFC 6242 and Juniper's manual, like the code under test.
 */

import type { Connection, ServerChannel } from 'ssh2';
import type { Device } from './ssh-server.ts';

export interface NetconfRouterOptions {
  /** 1.1 is chunked. */
  readonly base?: '1.0' | '1.1';
  /** What an operation is answered with instead of being done. */
  readonly answer?: (operation: string, session: number) => 'hang' | 'drop' | 'error' | 'garbage' | undefined;
  /** Another session has it. */
  readonly locked?: boolean;
  /** The bound filter; several are a chain. */
  readonly bound?: readonly string[];
  readonly forgetful?: boolean;
  readonly lacking?: string;
}

export interface NetconfRouter extends Device {
  readonly running: () => readonly string[];
  readonly heard: readonly string[];
  readonly onTrial: () => boolean;
  readonly lockedBy: () => number | null;
  expire(): void;
}

const END = ']]>]]>';

export function createNetconfRouter(options: NetconfRouterOptions = {}): NetconfRouter {
  const { base = '1.1', answer, bound = [] } = options;
  let running: string[] =
    bound.length === 1 ? [`set interfaces ge-0/0/1 unit 10 family inet filter input ${bound[0]}`] : [];
  let candidate = [...running];
  let before: string[] | null = null;
  let earlier = [...running];
  let lock: number | null = options.locked ? 0 : null;
  let sessions = 0;
  const heard: string[] = [];

  function netconf(channel: ServerChannel, connection: Connection): void {
    sessions++;
    const session = sessions;
    let buffer = '';
    let chunked = false;
    const send = (xml: string) => {
      if (!chunked) {
        channel.write(`${xml}${END}`);
        return;
      }
      // In pieces, as devices do, and not at the borders of tags.
      const bytes = Buffer.from(xml);
      const middle = Math.max(1, Math.floor(bytes.length / 3));
      for (const part of [bytes.subarray(0, middle), bytes.subarray(middle)])
        if (part.length > 0) channel.write(Buffer.concat([Buffer.from(`\n#${part.length}\n`), part]));
      channel.write('\n##\n');
    };
    const capabilities = [
      'urn:ietf:params:netconf:base:1.0',
      ...(base === '1.1' ? ['urn:ietf:params:netconf:base:1.1'] : []),
      ...['candidate:1.0', 'confirmed-commit:1.0', 'validate:1.0']
        .filter((one) => options.lacking === undefined || !one.startsWith(options.lacking))
        .map((one) => `urn:ietf:params:netconf:capability:${one}`),
      'http://xml.juniper.net/netconf/junos/1.0',
    ];
    send(
      `<!-- No zombies were killed during the creation of this user interface --><hello xmlns="urn:ietf:params:netconf:base:1.0"><capabilities>${capabilities.map((one) => `<capability>${one}</capability>`).join('')}</capabilities><session-id>${session}</session-id></hello>`,
    );

    function load(text: string): void {
      for (const line of text.trim().split('\n')) {
        const [verb, ...rest] = line.split(' ');
        const path = rest.join(' ');
        if (verb === 'delete') candidate = candidate.filter((one) => !one.startsWith(`set ${path} `));
        else if (line.includes(' filter input '))
          candidate = [...candidate.filter((one) => !one.includes(' filter input ')), line];
        else candidate.push(line);
      }
    }

    function operate(operation: string): string {
      if (operation.startsWith('<lock>')) {
        if (lock !== null && lock !== session)
          return '<rpc-error><error-type>protocol</error-type><error-tag>lock-denied</error-tag><error-severity>error</error-severity><error-message>configuration database locked by: root terminal p0</error-message></rpc-error>';
        lock = session;
        return '<ok/>';
      }
      if (operation.startsWith('<unlock>')) {
        lock = null;
        return '<ok/>';
      }
      if (operation.startsWith('<discard-changes')) {
        candidate = [...running];
        return '<ok/>';
      }
      if (operation.startsWith('<validate>')) return '<ok/>';
      if (operation.includes('compare="rollback"')) {
        const added = candidate.filter((one) => !running.includes(one)).map((one) => `+ ${one}`);
        const gone = running.filter((one) => !candidate.includes(one)).map((one) => `- ${one}`);
        return `<configuration-information><configuration-output>\n${[...gone, ...added].join('\n')}\n</configuration-output></configuration-information>`;
      }
      if (operation.startsWith('<get-configuration database="committed">')) {
        const name =
          options.forgetful && before !== null
            ? undefined
            : /filter input (\S+)/.exec(running.join('\n'))?.[1];
        const filter =
          bound.length > 1
            ? `<filter>${bound.map((one) => `<input-list><filter-name>${one}</filter-name></input-list>`).join('')}</filter>`
            : name === undefined
              ? ''
              : `<filter><input><filter-name>${name}</filter-name></input></filter>`;
        return `<configuration><interfaces><interface><name>ge-0/0/1</name><unit><name>0</name></unit><unit><name>10</name><family><inet>${filter}<address><name>192.0.2.1/24</name></address></inet></family></unit></interface></interfaces></configuration>`;
      }
      const set = /<configuration-set>([\s\S]*)<\/configuration-set>/.exec(operation);
      if (set !== null) {
        load(set[1].replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&'));
        return '<load-configuration-results><rpc-error><error-severity>warning</error-severity><error-message>statement not found</error-message></rpc-error><ok/></load-configuration-results>';
      }
      if (operation.startsWith('<load-configuration rollback="1"')) {
        candidate = [...earlier];
        return '<load-configuration-results><ok/></load-configuration-results>';
      }
      if (operation.startsWith('<commit-configuration>')) {
        earlier = [...running];
        before = [...running];
        running = [...candidate];
        return '<ok/>';
      }
      if (operation === '<commit-configuration/>') {
        before = null;
        earlier = [...running];
        running = [...candidate];
        return '<ok/>';
      }
      if (operation === '<close-session/>') return '<ok/>';
      return '<rpc-error><error-severity>error</error-severity><error-message>syntax error</error-message></rpc-error>';
    }

    function receive(message: string): void {
      if (message.includes('<hello')) {
        chunked = base === '1.1' && message.includes('base:1.1');
        return;
      }
      const rpc = /<rpc message-id="(\d+)"[^>]*>([\s\S]*)<\/rpc>/.exec(message);
      if (rpc === null) throw new Error(`no rpc: ${message}`);
      const [, id, operation] = rpc;
      heard.push(operation);
      const instead = answer?.(operation, session);
      if (instead === 'hang') return;
      if (instead === 'drop') {
        // What was asked for is done all the same: the answer is what is lost.
        operate(operation);
        if (lock === session) lock = null;
        connection.end();
        return;
      }
      if (instead === 'garbage') {
        channel.write('\n#zwei\nnonsense');
        return;
      }
      const body =
        instead === 'error'
          ? '<rpc-error><error-tag>operation-failed</error-tag><error-severity>error</error-severity><error-message>\nfilter would not fit\n</error-message></rpc-error>'
          : operate(operation);
      send(
        `<nc:rpc-reply xmlns:nc="urn:ietf:params:netconf:base:1.0" message-id="${id}">${body}</nc:rpc-reply>`,
      );
    }

    channel.on('close', () => {
      if (lock === session) {
        lock = null;
        candidate = [...running];
      }
    });
    channel.on('data', (data: Buffer) => {
      buffer += data.toString();
      for (;;) {
        if (!chunked) {
          const end = buffer.indexOf(END);
          if (end < 0) return;
          const message = buffer.slice(0, end);
          buffer = buffer.slice(end + END.length);
          receive(message);
          continue;
        }
        const whole = /^\n#(\d+)\n([\s\S]*?)\n##\n/.exec(buffer);
        if (whole === null) return;
        if (Buffer.byteLength(whole[2]) !== Number(whole[1])) throw new Error('a chunk of another size');
        buffer = buffer.slice(whole[0].length);
        receive(whole[2]);
      }
    });
  }

  return {
    netconf,
    running: () => running,
    heard,
    onTrial: () => before !== null,
    lockedBy: () => lock,
    expire() {
      if (before !== null) running = before;
      before = null;
    },
  };
}
