/**
 * Looks at a mail server of ours as a stranger would: does it relay for anybody, does it take mail for nobody, how does it do TLS
 * and AUTH, what does it call itself. It ends each transaction before DATA: no message is ever sent.
 *
 * Recipients in the forms by which relays were abused: plain, percent hack, quoted, bang path, source route (RFC 5321
 * appendix F; RFC 2505 section 2.1 asks to refuse them).
 */

import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { RogueSmtpError } from '../errors.ts';
import { type Dialogue, openDialogue, type Reply, type TlsFacts } from './dialogue.ts';

export interface RelayCheckRequest {
  /** An address somewhere else, which the server must not take mail for. */
  readonly recipient: string;
  /** A domain that the server takes mail for. */
  readonly domain: string;
  /** What we call ourselves in EHLO. */
  readonly name: string;
  readonly replyMs: number;
  readonly nowMs: number;
}

export type Verdict = 'bad' | 'note' | 'good';

export interface Observation {
  readonly verdict: Verdict;
  readonly text: string;
}

const CERTIFICATE_WARNING_MS = 14 * 86_400_000;
const DAY_MS = 86_400_000;

/** `connected`: opens a connection to the server, anew for each call. Throws RogueSmtpError `unavailable`. */
export async function relayCheck(
  connected: () => Promise<Socket>,
  request: RelayCheckRequest,
): Promise<readonly Observation[]> {
  const found: Observation[] = [];
  const note = (verdict: Verdict, text: string) => found.push({ verdict, text });

  const first = await openDialogue(await connected(), request.replyMs);
  try {
    await introduce(first, request, note);
    await lookAtTls(first, request, note);
  } finally {
    first.close();
  }
  const second = await openDialogue(await connected(), request.replyMs);
  try {
    await second.say(`EHLO ${request.name}`);
    await tryRecipients(second, request, note);
    await second.say('QUIT').catch(() => undefined);
  } finally {
    second.close();
  }
  return found;
}

type Note = (verdict: Verdict, text: string) => void;

async function introduce(dialogue: Dialogue, { name }: RelayCheckRequest, note: Note): Promise<void> {
  const { greeting } = dialogue;
  if (greeting.code !== 220)
    throw new RogueSmtpError(
      'unavailable',
      `the server greets with ${shown(greeting)}: it takes no mail from here`,
    );
  note('note', `It greets with "${greeting.lines[0]}".`);
  const hello = await dialogue.say(`EHLO ${name}`);
  if (hello.code !== 250) {
    note('note', `It refuses EHLO: ${shown(hello)}.`);
    await dialogue.say(`HELO ${name}`);
  }
  const offers = extensions(hello);
  if (offers.has('AUTH'))
    note(
      'bad',
      'It offers AUTH without TLS: passwords go over the network in the clear (RFC 4954 section 4).',
    );
}

/** By keyword in capitals. The first line is the name of the server. */
function extensions(hello: Reply): Map<string, string> {
  return new Map(
    hello.lines.slice(1).map((line) => {
      const [keyword, ...rest] = line.split(/[ =]/);
      return [keyword.toUpperCase(), rest.join(' ')];
    }),
  );
}

async function lookAtTls(dialogue: Dialogue, request: RelayCheckRequest, note: Note): Promise<void> {
  const again = await dialogue.say(`EHLO ${request.name}`);
  if (!extensions(again).has('STARTTLS')) {
    note('bad', 'It offers no STARTTLS: mail to it goes over the network in the clear (RFC 3207).');
    return;
  }
  const ready = await dialogue.say('STARTTLS');
  if (ready.code !== 220) {
    note('bad', `It offers STARTTLS and refuses it: ${shown(ready)}.`);
    return;
  }
  const server = again.lines[0]?.split(' ')[0] ?? '';
  let facts: TlsFacts;
  try {
    facts = await dialogue.startTls(server);
  } catch (error) {
    note(
      'bad',
      `STARTTLS does not come to an end: ${error instanceof Error ? error.message : String(error)}.`,
    );
    return;
  }
  const { protocol, certificate, untrusted } = facts;
  note(
    /^TLSv1(\.1)?$/.test(protocol) ? 'bad' : 'good',
    `STARTTLS works with ${protocol}${/^TLSv1(\.1)?$/.test(protocol) ? ', which is out of date (RFC 8996)' : ''}.`,
  );
  const until = Date.parse(certificate.valid_to);
  const days = Math.floor((until - request.nowMs) / DAY_MS);
  if (Number.isNaN(until)) note('note', 'It shows no certificate that could be read.');
  else if (until < request.nowMs) note('bad', `Its certificate ended ${-days} days ago.`);
  else if (until - request.nowMs < CERTIFICATE_WARNING_MS)
    note('bad', `Its certificate ends in ${days} days.`);
  else note('good', `Its certificate ends in ${days} days.`);
  if (untrusted !== null)
    note(
      'note',
      `The certificate is not trusted for ${server}: ${untrusted}. Servers deliver all the same unless they enforce it (DANE, MTA-STS).`,
    );
}

async function tryRecipients(dialogue: Dialogue, request: RelayCheckRequest, note: Note): Promise<void> {
  const { recipient, domain } = request;
  const [user, host] = [
    recipient.slice(0, recipient.lastIndexOf('@')),
    recipient.slice(recipient.lastIndexOf('@') + 1),
  ];
  const stranger = `relay-check@${host}`;
  const forms: readonly (readonly [what: string, from: string, to: string])[] = [
    ['a stranger, to somewhere else', stranger, recipient],
    ['no sender, to somewhere else', '', recipient],
    [`its own domain as the sender, to somewhere else`, `postmaster@${domain}`, recipient],
    ['the percent hack', stranger, `${user}%${host}@${domain}`],
    ['a quoted address', stranger, `"${user}@${host}"@${domain}`],
    ['a bang path', stranger, `${host}!${user}@${domain}`],
    ['a source route', stranger, `@${domain}:${recipient}`],
  ];
  const accepted: string[] = [];
  const unclear = new Set<string>();
  for (const [what, from, to] of forms) {
    const answer = await recipientAnswer(dialogue, from, to);
    if (isAccepted(answer)) accepted.push(`${what} (<${to}>: ${shown(answer)})`);
    else if (answer.code < 500) unclear.add(shown(answer));
  }
  if (accepted.length > 0)
    note(
      'bad',
      `It takes mail for others from anybody: ${accepted.join('; ')}. Only a delivered message would prove that it passes it on; none was sent.`,
    );
  else note('good', `It takes no mail for ${host} in ${forms.length} forms of the address.`);
  for (const text of unclear)
    note('note', `It put one off instead of refusing it: ${text}. Ask again later (greylisting?).`);

  const nobody = `relay-check-${randomBytes(6).toString('hex')}@${domain}`;
  const unknown = await recipientAnswer(dialogue, stranger, nobody);
  if (isAccepted(unknown))
    note(
      'bad',
      `It takes mail for the unknown recipient <${nobody}>: it will send bounces to forged senders (backscatter).`,
    );
  else if (unknown.code >= 500) note('good', `It refuses the unknown recipient <${nobody}>.`);
}

const isAccepted = ({ code }: Reply) => code === 250 || code === 251;

/** The answer to RCPT, or to MAIL where that was refused; the transaction is ended. */
async function recipientAnswer(dialogue: Dialogue, from: string, to: string): Promise<Reply> {
  const mail = await dialogue.say(`MAIL FROM:<${from}>`);
  const answer = mail.code === 250 ? await dialogue.say(`RCPT TO:<${to}>`) : mail;
  await dialogue.say('RSET');
  return answer;
}

const shown = ({ code, lines }: Reply) => `${code} ${lines[0] ?? ''}`.trim();
