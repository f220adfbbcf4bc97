/**
 * `rogue-smtp init`: a commented configuration to start from.
 *
 * On a terminal it asks for what only the operator knows, the internal networks and the mail servers, and proposes
 * senders that a running instance has seen. It never overwrites a file.
 */

import { writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
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
}

export interface InitStreams {
  readonly input: NodeJS.ReadableStream;
  readonly output: NodeJS.WritableStream;
}

const DEFAULT_INTERNAL = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'];

/** Writes the file and returns what is still to be done, in words. */
export async function initCommand(options: InitOptions, streams: InitStreams): Promise<string> {
  let internal = DEFAULT_INTERNAL;
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
    await writeFile(options.file, renderConfig(internal, senders), { flag: 'wx', mode: 0o640 });
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

function renderConfig(internal: readonly string[], senders: readonly SenderProposal[]): string {
  const senderLines =
    senders.length === 0
      ? [
          'senders: []',
          '#  - { name: mx1, hosts: [192.0.2.25], to: any, owner: "postmaster", reason: "our mail server" }',
        ]
      : [
          'senders:',
          ...senders.map(
            ({ host, reason }, i) =>
              `  - { name: mail-${i + 1}, hosts: [${JSON.stringify(host)}], reason: ${JSON.stringify(reason.slice(0, 200))} }`,
          ),
        ];
  return `# Configuration of rogue-smtp. Every key that is left out has a default; "rogue-smtp check" explains mistakes.
# Environment variables go over it: ROGUE_SMTP__BLOCK__MODE=publish is block.mode.

collector:
  # Point routers here, any version on any port.
  listen: ["0.0.0.0:2055", "0.0.0.0:4739", "0.0.0.0:6343"]
  # Take exports only from these addresses. Flow export is unauthenticated UDP: set this before you publish blocks.
  exporters: []

networks:
  # Whose port-25 sessions are judged. Add your public prefixes.
  internal: ${JSON.stringify(internal)}
  # Addresses that many hosts share: alerts, never a block.
  # nat: [192.0.2.128/28]

# Who may send mail. A sender with "to: [smarthost]" may use that destination only.
${senderLines.join('\n')}
# Hosts that talk SMTP but send no mail of their own, such as monitors: reported once, then only when they do more.
# expected: [{ name: monitor, hosts: [192.0.2.9], does: check, owner: "netops", reason: "watches our mail servers" }]
# Addresses that a provider publishes, for to_lists of a sender or block.never_lists; from a file (file: provider.txt) too.
# lists: [{ name: provider, url: "https://provider.example/ranges.txt", interval: 1h }]

detection:
  ports: [25]
  # Companions, off by default; they raise alerts and never lead to a block:
  # submission: { alert: true }   # hosts that use submission ports (465, 587, 2525) like a bot: 20 servers in an hour
  # internal: { alert: true }     # port 25 between internal hosts, to no authorised sender

# Incidents below a grade raise no alert, here those of a guest network; they are shown and blocked all the same.
# alerts: { groups: [{ name: guests, hosts: [10.20.0.0/16], grade: bulk }] }

# A gap in what is seen is an alert of its own: a silent exporter, losses, a full spool.
# coverage: { silent_after: 10m, loss: 0.01, interval: 5m }

block:
  # observe: alerts only. propose: blocks wait for approval. publish: offenders go into the ACLs by themselves.
  mode: observe
  grade: conversed
  ttl: 24h
  # Never blocked, whatever they do: gateways, NAT pools, this collector.
  never: []

acl:
  targets: []
  #  - { name: edge1, platform: cisco-ios, kind: offenders, interface: GigabitEthernet0/1 }

http:
  # API, metrics and block lists. To listen beyond loopback, set a token_file (or ROGUE_SMTP__HTTP__TOKEN).
  listen: "127.0.0.1:9025"

data: ./data
`;
}
