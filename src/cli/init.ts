/**
 * `rogue-smtp init`: a commented configuration to start from.
 *
 * On a terminal it asks for what only the operator knows, the internal networks and the mail servers, and proposes
 * senders that a running instance has seen. It never overwrites a file.
 */

import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { wordsFor } from '../config/reference.ts';
import { messageOf, RogueSmtpError } from '../errors.ts';
import { parsePrefix } from '../flow/prefix.ts';

export interface SenderProposal {
  readonly host: string;
  readonly reason: string;
}

export interface InitOptions {
  readonly file: string;
  readonly interactive: boolean;
  readonly proposals: readonly SenderProposal[];
  /** Absent, each: the default. */
  readonly internal?: readonly string[];
  readonly exporters?: readonly string[];
  readonly mode?: string;
  readonly data?: string;
}

export interface InitStreams {
  readonly input: NodeJS.ReadableStream;
  readonly output: NodeJS.WritableStream;
}

export const DEFAULT_INTERNAL = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'];

/** Writes the file and returns what is still to be done, in words. */
export async function initCommand(options: InitOptions, streams: InitStreams): Promise<string> {
  let internal: readonly string[] = options.internal ?? DEFAULT_INTERNAL;
  let senders = options.proposals;
  if (options.interactive) {
    const prompt = createInterface({ input: streams.input, output: streams.output });
    // Lines that come all at once, as pasted ones do, wait here for their question.
    const lines = prompt[Symbol.asyncIterator]();
    const ask = async (question: string) => {
      prompt.setPrompt(question);
      prompt.prompt();
      const { value, done } = await lines.next();
      if (done) throw new RogueSmtpError('refused', `stopped; ${options.file} was not written`);
      return value;
    };
    try {
      internal = await askPrefixes(ask, `Internal networks [${internal.join(' ')}]: `, internal);
      if (senders.length > 0) {
        streams.output.write(
          `Seen sending mail:\n${senders.map(({ host, reason }) => `  ${host}  ${reason}\n`).join('')}`,
        );
      }
      const known = senders.map(({ host }) => host);
      const hosts = await askPrefixes(
        ask,
        `Mail servers that may send [${known.join(' ') || 'none yet'}]: `,
        known,
      );
      senders = hosts.map(
        (host) => senders.find((proposal) => proposal.host === host) ?? { host, reason: 'named at init' },
      );
    } finally {
      prompt.close();
    }
  }
  try {
    await mkdir(dirname(options.file), { recursive: true, mode: 0o750 });
    await writeFile(options.file, renderConfig(internal, senders, options), { flag: 'wx', mode: 0o640 });
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') {
      throw new RogueSmtpError('refused', `${options.file} exists and is left as it is`);
    }
    throw new RogueSmtpError('io', `${options.file}: ${messageOf(error)}`, { cause: error });
  }
  return senders.length === 0
    ? `Wrote ${options.file}. Name your mail servers under "senders:" before anything can be blocked.`
    : `Wrote ${options.file} with ${senders.length} sender(s). Look it over, then: rogue-smtp check`;
}

async function askPrefixes(
  ask: (question: string) => Promise<string>,
  question: string,
  otherwise: readonly string[],
): Promise<string[]> {
  for (;;) {
    const words = (await ask(question)).split(/[\s,]+/).filter((word) => word !== '');
    if (words.length === 0) return [...otherwise];
    const wrong = words.map((word) => parsePrefix(word)).find((parsed) => !parsed.ok);
    if (wrong === undefined || wrong.ok) return words;
    question = `${wrong.reason}. Again: `;
  }
}

function renderConfig(
  internal: readonly string[],
  senders: readonly SenderProposal[],
  { exporters = [], mode = 'observe', data = './data' }: InitOptions,
): string {
  const senderLines =
    senders.length === 0
      ? ['senders: []', `# senders: ${wordsFor('senders').example ?? ''}`]
      : [
          'senders:',
          ...senders.map(
            ({ host, reason }, i) =>
              `  - { name: mail-${i + 1}, hosts: [${JSON.stringify(host)}], reason: ${JSON.stringify(reason.slice(0, 200))} }`,
          ),
        ];
  return `# Configuration of rogue-smtp. Every key that is left out has a default: docs/configuration.md has them all, and
# "rogue-smtp check" explains mistakes. Environment variables go over it: ROGUE_SMTP__BLOCK__MODE=publish is block.mode.

collector:
${comment('collector.listen')}
  listen: ["0.0.0.0:2055", "0.0.0.0:4739", "0.0.0.0:6343"]
${comment('collector.exporters')}
  exporters: ${JSON.stringify(exporters)}

networks:
${comment('networks.internal')}
  internal: ${JSON.stringify(internal)}
${comment('networks.nat')}
${example('networks.nat')}

${comment('senders')}
${senderLines.join('\n')}
${comment('expected')}
${example('expected')}
${comment('lists')}
${example('lists')}

detection:
${comment('detection.ports')}
  ports: [25]
  # Companions, off by default; they raise alerts and never lead to a block:
${comment('detection.submission')}
  # submission: { alert: true }
${comment('detection.internal')}
  # internal: { alert: true }

${comment('alerts')}
# alerts: { groups: ${wordsFor('alerts.groups').example} }

${comment('coverage')}
# coverage: { silent_after: 10m, loss: 0.01, interval: 5m }

block:
${comment('block.mode')}
  mode: ${mode}
${comment('block.grade')}
  grade: conversed
${comment('block.ttl')}
  ttl: 24h
${comment('block.never')}
  never: []

acl:
${comment('acl.targets')}
  targets: []
${example('acl.targets')}

http:
${comment('http.listen')}
  listen: "127.0.0.1:9025"
${comment('http.token_file')}
${example('http.token_file')}

${comment('canary')}
# canary: { every: 5m }

${comment('data')}
data: ${JSON.stringify(data)}
`;
}

const indentOf = (path: string) => '  '.repeat(path.split('.').length - 1);
/** Columns of a comment. */
const WIDTH = 100;

/** What a key means, as comment lines at its place. */
function comment(path: string): string {
  const lines: string[] = [];
  let line = `${indentOf(path)}#`;
  for (const word of wordsFor(path).text.split(' ')) {
    if (line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = `${indentOf(path)}#`;
    }
    line += ` ${word}`;
  }
  return [...lines, line].join('\n');
}

/** The key with its example, commented out. */
function example(path: string): string {
  return `${indentOf(path)}# ${/[^.]+$/.exec(path)?.[0] ?? path}: ${wordsFor(path).example ?? ''}`;
}
