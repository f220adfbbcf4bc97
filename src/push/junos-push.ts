/**
 * A filter onto Junos over NETCONF: loaded into a locked candidate, compared, checked, committed on trial, looked at from
 * a second session, confirmed.
 *
 * Refuses where the interface has a filter that is not ours, or a chain of filters. Whatever goes wrong is discarded or
 * rolled back, and where that cannot be said any more the router does it itself when the trial ends. Written by RFC 6241
 * and Juniper's manual of the XML protocol; no device has been asked.
 */

import { RogueSmtpError } from '../errors.ts';
import { child, type NetconfSession, nodes, openNetconf, textOf, type XmlNode } from './netconf-session.ts';
import {
  assertInTime,
  attempt,
  createTranscript,
  DeviceError,
  type DeviceState,
  type PushReport,
  type PushRequest,
  pushDeadline,
  type Transcript,
} from './report.ts';
import { connectSsh, type SshConnection } from './ssh.ts';

const CAPABILITIES = ['candidate', 'confirmed-commit', 'validate'] as const;

interface Filter {
  readonly lines: readonly string[];
  readonly name: string;
  readonly face: string;
  readonly unit: string;
  readonly family: 'inet' | 'inet6';
}

const BINDING =
  /^set interfaces ([A-Za-z0-9][\w./:-]*) unit (\d+) family (inet6?) filter input (SMTP-[A-Z0-9]+-\w+)$/;

/** Throws RogueSmtpError `refused` for a text that is no filter bound to an interface. */
function readFilter(text: string): Filter {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  const binding = BINDING.exec(lines.at(-1) ?? '');
  if (binding === null || !lines.every((line) => /^(?:set|delete) /.test(line)))
    throw new RogueSmtpError('refused', 'the filter is bound to no interface: nothing is sent');
  const [, face, unit, family, name] = binding;
  return { lines, name, face, unit, family: family === 'inet' ? 'inet' : 'inet6' };
}

interface Opened {
  readonly connection: SshConnection;
  readonly netconf: NetconfSession;
}

/** Throws RogueSmtpError `config` or `refused` before anything was sent; what comes later is in the report. */
export async function pushJunos(
  request: PushRequest,
  dryRun: boolean,
  signal: AbortSignal,
): Promise<PushReport> {
  const { settings } = request;
  const filter = readFilter(request.text);
  const transcript = createTranscript();
  const deadline = pushDeadline(signal, settings);
  const sessions: Opened[] = [];
  let present = '';
  let changes: string | null = null;
  let stage: 'before' | 'candidate' | 'on trial' | 'confirming' = 'before';
  const report = (result: PushReport['result'], device: DeviceState, reason = ''): PushReport => ({
    result,
    device,
    reason,
    present,
    changes,
    lines: filter.lines,
    transcript: transcript.lines,
  });
  const open = async () => {
    const opened = await openSession(request, transcript, deadline);
    sessions.push(opened);
    return opened.netconf;
  };
  const ask = async (session: NetconfSession, operation: string) => {
    assertInTime(deadline);
    return session.rpc(operation);
  };
  try {
    const first = await open();
    refuseIncapable(first);
    await ask(first, LOCK);
    stage = 'candidate';
    const bound = inputFilter(await ask(first, getInterface(filter)), filter);
    present = bound ?? 'no input filter';
    if (bound !== null && !/^SMTP-(?:OFFENDERS|POLICY)6?-/.test(bound))
      throw new DeviceError(
        `${filter.face}.${filter.unit} has the input filter ${bound}, which is not of rogue-smtp and is left alone: take ` +
          'its term "rest" out of the rendered filter and bind both with "input-list" by hand',
        { transient: false },
      );
    await ask(first, load(filter.lines));
    changes = comparison(await ask(first, COMPARE));
    if (changes === '' || dryRun) {
      await ask(first, VALIDATE);
      await ask(first, DISCARD);
      await ask(first, UNLOCK);
      stage = 'before';
      return changes === '' ? report('unchanged', 'new list') : report('previewed', 'as before');
    }
    await ask(first, VALIDATE);
    stage = 'on trial';
    await ask(first, commitConfirmed(settings.confirm));
    await ask(first, UNLOCK);
    const second = await open();
    await ask(second, LOCK);
    if (inputFilter(await ask(second, getInterface(filter)), filter) !== filter.name)
      throw new DeviceError('after the commit the interface does not have the filter', { transient: false });
    stage = 'confirming';
    await ask(second, COMMIT);
    stage = 'before';
    await attempt(transcript, () => second.rpc(UNLOCK));
    return report('applied', 'new list');
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
    return report('failed', await restore(stage, sessions, transcript), error.message);
  } finally {
    for (const { netconf, connection } of sessions) {
      await netconf.close();
      connection.close();
    }
  }
}

async function openSession(
  { settings }: PushRequest,
  transcript: Transcript,
  signal: AbortSignal,
): Promise<Opened> {
  const connection = await connectSsh(settings, signal);
  try {
    const channel = await connection.subsystem('netconf');
    return { connection, netconf: await openNetconf(channel, settings.timeout, transcript) };
  } catch (error) {
    connection.close();
    throw error;
  }
}

function refuseIncapable({ capabilities }: NetconfSession): void {
  const missing = CAPABILITIES.filter(
    (name) => !capabilities.some((one) => one.startsWith(`urn:ietf:params:netconf:capability:${name}:`)),
  );
  if (missing.length > 0)
    throw new DeviceError(`the device lacks NETCONF's ${missing.join(', ')}: no change could be taken back`, {
      transient: false,
    });
}

async function restore(
  stage: 'before' | 'candidate' | 'on trial' | 'confirming',
  sessions: readonly Opened[],
  transcript: Transcript,
): Promise<DeviceState> {
  const last = sessions.at(-1)?.netconf;
  if (stage === 'before' || last === undefined) return 'as before';
  if (stage === 'candidate') {
    // A candidate of a session that is gone goes with its lock (RFC 6241 section 8.3.5.2).
    await attempt(transcript, async () => {
      await last.rpc(DISCARD);
      await last.rpc(UNLOCK);
    });
    return 'as before';
  }
  const done = await attempt(transcript, async () => {
    await attempt(transcript, () => last.rpc(LOCK));
    await last.rpc(ROLLBACK);
    await last.rpc(COMMIT);
    await attempt(transcript, () => last.rpc(UNLOCK));
  });
  if (done) return 'rolled back';
  return stage === 'confirming' ? 'unknown' : 'rolls back by itself';
}

const LOCK = '<lock><target><candidate/></target></lock>';
const UNLOCK = '<unlock><target><candidate/></target></unlock>';
const DISCARD = '<discard-changes/>';
const VALIDATE = '<validate><source><candidate/></source></validate>';
const COMPARE = '<get-configuration compare="rollback" rollback="0" format="text"/>';
const ROLLBACK = '<load-configuration rollback="1"/>';
const COMMIT = '<commit-configuration/>';

const commitConfirmed = (ms: number) =>
  `<commit-configuration><confirmed/><confirm-timeout>${Math.ceil(ms / 60_000)}</confirm-timeout><log>rogue-smtp</log></commit-configuration>`;

function load(lines: readonly string[]): string {
  return `<load-configuration action="set" format="text"><configuration-set>\n${escapeXml(lines.join('\n'))}\n</configuration-set></load-configuration>`;
}

function getInterface({ face }: Filter): string {
  return `<get-configuration database="committed"><configuration><interfaces><interface><name>${escapeXml(face)}</name></interface></interfaces></configuration></get-configuration>`;
}

function escapeXml(text: string): string {
  return text.replace(/[&<>]/g, (sign) => (sign === '&' ? '&amp;' : sign === '<' ? '&lt;' : '&gt;'));
}

/** Name of the bound filter, a chain as its names; null for none. */
function inputFilter(reply: XmlNode, { face, unit, family }: Filter): string | null {
  const interfaces = nodes(child(reply, 'configuration', 'interfaces').interface);
  const units = interfaces.filter((one) => textOf(one.name) === face).flatMap((one) => nodes(one.unit));
  const mine = units.find((one) => textOf(one.name) === unit);
  if (mine === undefined) return null;
  const filter = child(mine, 'family', family, 'filter');
  const chain = nodes([filter['input-list']].flat()).map((one) => textOf(one['filter-name'] ?? one.name));
  if (chain.length > 0) return `[ ${chain.join(' ')} ]`;
  const input = child(filter, 'input');
  const name = textOf(input['filter-name'] ?? filter.input);
  return name === '' ? null : name;
}

function comparison(reply: XmlNode): string {
  return textOf(child(reply, 'configuration-information')['configuration-output']).trim();
}
