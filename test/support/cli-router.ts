/**
 * A router of the IOS family as far as a push sees one: access lists, bindings, and each dialect's way to take a change back.
 *
 * Written from the vendors' manuals, like the code under test: that both agree says that the code does what it means to.
 */

import type { Connection, ServerChannel } from 'ssh2';
import type { Device } from './ssh-server.ts';

export interface CliRouterOptions {
  readonly dialect: 'cisco-ios' | 'cisco-iosxr' | 'arista-eos';
  /** What a line is answered with instead of being done. */
  readonly answer?: (line: string, session: number) => 'hang' | 'drop' | 'reject' | 'babble' | undefined;
  /** Bound already. */
  readonly bound?: { readonly name: string; readonly lines: readonly string[]; readonly elsewhere?: boolean };
  /** The interface does not show what was bound. */
  readonly forgetful?: boolean;
  /** Users come in at `>`. */
  readonly enable?: string;
}

interface State {
  readonly lists: Map<string, string[]>;
  /** List lines by interface. */
  readonly faces: Map<string, string[]>;
}

export interface CliRouter extends Device {
  readonly running: () => State;
  readonly heard: readonly string[];
  /** Ends the trial, as the router's own clock would. */
  expire(): void;
  readonly onTrial: () => boolean;
}

const NAME = 'R1-core-with-a-long-name';
const copy = ({ lists, faces }: State): State => ({
  lists: new Map([...lists].map(([name, lines]) => [name, [...lines]])),
  faces: new Map([...faces].map(([name, lines]) => [name, [...lines]])),
});

export function createCliRouter(options: CliRouterOptions): CliRouter {
  const { dialect, answer, bound } = options;
  let running: State = { lists: new Map(), faces: new Map() };
  if (bound !== undefined) {
    running.lists.set(bound.name, [...bound.lines]);
    running.faces.set('Gi0/1', [binding(bound.name)]);
    if (bound.elsewhere) running.faces.set('Gi0/2', [binding(bound.name)]);
  }
  let before: State | null = null;
  let sessions = 0;
  const heard: string[] = [];

  function binding(name: string): string {
    return dialect === 'cisco-iosxr' ? `ipv4 access-group ${name} ingress` : `ip access-group ${name} in`;
  }

  function shell(channel: ServerChannel, connection: Connection): void {
    sessions++;
    const session = sessions;
    let mode: 'user' | 'enable' | 'config' = options.enable === undefined ? 'enable' : 'user';
    let asking = false;
    let candidate: State | null = null;
    let list: string | null = null;
    let face: string | null = null;
    const prompt = () =>
      mode === 'config' ? `${NAME.slice(0, 20)}(config)#` : `${NAME}${mode === 'user' ? '>' : '#'}`;
    const say = (text: string) => channel.write(text.replace(/\n/g, '\r\n'));
    const reply = (text: string) => say(`${text === '' ? '' : `${text}\n`}${prompt()}`);
    const target = () => candidate ?? running;
    const invalid = "          ^\n% Invalid input detected at '^' marker.\n";

    function configure(line: string): string {
      const header = /^(no )?(?:ip|ipv4|ipv6) access-list (?:extended )?(\S+)$/.exec(line);
      if (header !== null) {
        if (header[1] !== undefined) target().lists.delete(header[2]);
        else target().lists.set(header[2], target().lists.get(header[2]) ?? []);
        list = header[1] === undefined ? header[2] : null;
        face = null;
        return '';
      }
      const where = /^interface (\S+)$/.exec(line);
      if (where !== null) {
        [, face] = where;
        list = null;
        return '';
      }
      if (face !== null && /^ *(?:ip|ipv4) access-group (\S+) (?:in|ingress)$/.test(line)) {
        target().faces.set(face, [line.trim()]);
        return '';
      }
      if (list !== null && /^ *\d+ (?:permit|deny|remark) |^ *remark /.test(line)) {
        target().lists.get(list)?.push(line);
        return '';
      }
      return invalid;
    }

    function exec(line: string): string {
      if (line.startsWith('terminal ')) return '';
      const shownFace = /^show running-config interface (\S+)$/.exec(line);
      if (shownFace !== null)
        return `interface ${shownFace[1]}\n ${options.forgetful ? '' : (running.faces.get(shownFace[1])?.join('\n ') ?? '')}\nend`;
      const include = /^show running-config \| include (\S+)$/.exec(line);
      if (include !== null)
        return [
          ...[...running.lists.keys()].map((name) => `ip access-list extended ${name}`),
          ...[...running.faces.values()].flat().map((one) => ` ${one}`),
        ]
          .filter((one) => one.includes(include[1]))
          .join('\n');
      const shownList = /^show (?:ip access-lists|access-lists ipv4) (\S+)$/.exec(line);
      if (shownList !== null)
        return `Extended IP access list ${shownList[1]}\n${(running.lists.get(shownList[1]) ?? [])
          .filter((one) => !one.includes('remark'))
          .map((one) => `   ${one.trim()} (3 matches)`)
          .join('\n')}`;
      if (/^configure terminal revert timer \d+$/.test(line) && dialect === 'cisco-ios') {
        before = copy(running);
        mode = 'config';
        return 'Rollback Confirmed Change: Backing up current running config to flash:bak-1';
      }
      if (line === 'configure confirm' && dialect === 'cisco-ios') {
        before = null;
        return '';
      }
      if (line === 'configure revert now' && dialect === 'cisco-ios') {
        takeBack();
        return 'Rollback Confirmed Change: rolling to:flash:bak-1';
      }
      if (line === 'configure exclusive' && dialect === 'cisco-iosxr') {
        candidate = copy(running);
        mode = 'config';
        return '';
      }
      if (line === 'rollback configuration last 1' && dialect === 'cisco-iosxr') {
        takeBack();
        return 'Configuration successfully rolled back 1 commits.';
      }
      const named = /^configure session (\S+)(?: (commit|abort))?$/.exec(line);
      if (named !== null && dialect === 'arista-eos') {
        if (named[2] === 'commit') before = null;
        else if (named[2] === 'abort') takeBack();
        else {
          candidate = copy(running);
          mode = 'config';
        }
        return '';
      }
      return invalid;
    }

    function inConfig(line: string): string {
      if (line === 'end' || line === 'abort') {
        candidate = null;
        mode = 'enable';
        return '';
      }
      if (line === 'show commit changes diff' || line === 'show session-config diffs')
        return [...(candidate?.lists.keys() ?? [])].map((name) => `+ ${name}`).join('\n');
      if (/^commit confirmed \d+$/.test(line) || /^commit timer \d\d:\d\d:\d\d$/.test(line)) {
        before = running;
        running = candidate ?? running;
        if (dialect === 'arista-eos') mode = 'enable';
        candidate = null;
        return '';
      }
      if (line === 'commit') {
        before = null;
        return '';
      }
      return configure(line);
    }

    say(`\nAuthorised users only >\n${prompt()}`);
    let buffer = '';
    channel.on('data', (data: Buffer) => {
      buffer += data.toString();
      for (let end = buffer.indexOf('\n'); end >= 0; end = buffer.indexOf('\n')) {
        const line = buffer.slice(0, end);
        buffer = buffer.slice(end + 1);
        if (asking) {
          asking = false;
          if (line === options.enable) mode = 'enable';
          reply(mode === 'enable' ? '' : '% Access denied');
          continue;
        }
        heard.push(line);
        const instead = answer?.(line, session);
        if (instead === 'hang') continue;
        if (instead === 'drop') {
          connection.end();
          return;
        }
        if (instead === 'babble') {
          channel.write('x'.repeat(5 * 1024 * 1024));
          return;
        }
        say(`${line}\n`);
        if (line === 'enable') {
          asking = true;
          say('Password: ');
        } else if (instead === 'reject') reply(invalid);
        else if (line === '') reply('');
        else
          reply(
            mode === 'config'
              ? inConfig(line)
              : mode === 'user' && !/^terminal/.test(line)
                ? invalid
                : exec(line),
          );
      }
    });
  }

  function takeBack(): void {
    if (before !== null) running = before;
    before = null;
  }

  return { shell, running: () => running, heard, expire: takeBack, onTrial: () => before !== null };
}
