/**
 * A list onto a router with a command line of the IOS family, on trial until a second session has seen it in force.
 *
 * Refuses where the interface has a list that is not ours. When a line is not taken, an answer does not come or the list
 * is not what was sent, the change is taken back, and where that cannot be said to the router any more its own timer does
 * it. Nothing is ever confirmed that was not checked.
 */

import { CLI_DIALECTS, type CliDialect } from './cli-dialects.ts';
import { type CliSession, openCli } from './cli-session.ts';
import { isOurs, type ListText, readListText, shownEntries } from './list-text.ts';
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
import { connectSsh, type SshConnection, secretOf } from './ssh.ts';

interface Opened {
  readonly connection: SshConnection;
  readonly cli: CliSession;
}

/** Throws RogueSmtpError `config` or `refused` before anything was sent; what comes later is in the report. */
export async function pushCli(
  request: PushRequest,
  dryRun: boolean,
  signal: AbortSignal,
): Promise<PushReport> {
  const { platform, settings } = request;
  if (platform === 'junos') throw new Error('Junos has no such command line');
  const dialect = CLI_DIALECTS[platform];
  const list = readListText(request.text);
  const transcript = createTranscript();
  const id = `rogue-smtp-${list.name.toLowerCase()}`;
  const deadline = pushDeadline(signal, settings);
  const sessions: Opened[] = [];
  let present = '';
  let changes: string | null = null;
  let stage: 'before' | 'writing' | 'on trial' | 'confirming' = 'before';
  const report = (result: PushReport['result'], device: DeviceState, reason = ''): PushReport => ({
    result,
    device,
    reason,
    present,
    changes,
    lines: list.lines,
    transcript: transcript.lines,
  });
  const open = async () => {
    const opened = await openSession(request, dialect, transcript, deadline);
    sessions.push(opened);
    return opened.cli;
  };
  const say = async (cli: CliSession, commands: readonly string[]) => {
    for (const command of commands) {
      assertInTime(deadline);
      await cli.command(command);
    }
  };
  try {
    const cli = await open();
    present = await cli.command(`show running-config interface ${request.interface}`);
    const bound = list.boundIn(present);
    if (bound === list.name && (await isInForce(cli, dialect, list, request)))
      return report('unchanged', 'new list');
    if (bound !== null && !isOurs(bound)) {
      throw new DeviceError(
        `${request.interface} has the list ${bound}, which is not of rogue-smtp and is left alone: put the lines for ` +
          'port 25 at its top, or take it off the interface',
        { transient: false },
      );
    }
    const obsolete = bound === null || bound === list.name ? null : await removable(cli, list, bound);
    if (dryRun && dialect.changes === null) return report('previewed', 'as before');
    stage = 'writing';
    await say(cli, dialect.begin(id, settings.confirm));
    await say(cli, [...list.lines, ...(obsolete === null ? [] : [list.removal(obsolete)])]);
    if (dialect.changes !== null) changes = await cli.command(dialect.changes);
    if (dryRun) {
      await say(cli, dialect.abandon(id));
      return report('previewed', 'as before');
    }
    stage = 'on trial';
    await say(cli, dialect.commit(id, settings.confirm));
    // Through the door that everybody uses: a router that can no longer be reached is not confirmed.
    const second = await open();
    if (!(await isInForce(second, dialect, list, request)))
      throw new DeviceError('after the change the router does not show the list as it was sent', {
        transient: false,
      });
    stage = 'confirming';
    await say(cli, dialect.confirm(id));
    return report('applied', 'new list');
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
    const device = await restore(stage, sessions, dialect, id, transcript);
    return report('failed', device, error.message);
  } finally {
    for (const { cli, connection } of sessions) {
      cli.close();
      connection.close();
    }
  }
}

async function openSession(
  { settings }: PushRequest,
  dialect: CliDialect,
  transcript: Transcript,
  signal: AbortSignal,
): Promise<Opened> {
  const connection = await connectSsh(settings, signal);
  try {
    const cli = await openCli(await connection.shell(), settings.timeout, transcript);
    if (!cli.privileged()) {
      if (settings.enable_file === undefined && settings.enable_env === undefined)
        throw new DeviceError('the user has no rights to configure, and no enable password is configured', {
          transient: false,
        });
      await cli.enable(secretOf(settings.enable_file, settings.enable_env, 'push.enable'));
    }
    for (const command of dialect.setUp) await cli.command(command);
    return { connection, cli };
  } catch (error) {
    connection.close();
    throw error;
  }
}

async function isInForce(
  cli: CliSession,
  dialect: CliDialect,
  list: ListText,
  request: PushRequest,
): Promise<boolean> {
  const face = await cli.command(`show running-config interface ${request.interface}`);
  if (list.boundIn(face) !== list.name) return false;
  return shownEntries(await cli.command(dialect.showList(list.name, request.family))) === list.entries;
}

/** The old list, when the interface is the only one that has it: a list that is taken from under a binding lets all through. */
async function removable(cli: CliSession, list: ListText, bound: string): Promise<string | null> {
  const mentions = await cli.command(`show running-config | include ${bound}`);
  return list.bindingsIn(mentions, bound) === 1 ? bound : null;
}

/** Takes back what was done, as far as the router still listens. */
async function restore(
  stage: 'before' | 'writing' | 'on trial' | 'confirming',
  sessions: readonly Opened[],
  dialect: CliDialect,
  id: string,
  transcript: Transcript,
): Promise<DeviceState> {
  const [first] = sessions;
  if (stage === 'before' || first === undefined) return 'as before';
  const commands = stage === 'writing' ? dialect.abandon(id) : dialect.revert(id);
  const done = await attempt(transcript, async () => {
    for (const command of commands) await first.cli.command(command);
  });
  // The answer to a confirmation that was lost may have been yes.
  if (stage === 'confirming') return done ? 'rolled back' : 'unknown';
  if (done) return stage === 'writing' && dialect.changes !== null ? 'as before' : 'rolled back';
  // A candidate goes with its session; what was in force at once, or on trial, goes with the timer.
  return stage === 'writing' && dialect.changes !== null ? 'as before' : 'rolls back by itself';
}
