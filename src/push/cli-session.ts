/**
 * A router's command line over a terminal: one line in, its output out.
 *
 * The prompt is learned at the login, and only a line that begins with it ends an output; a router that stops to ask
 * something, or to page, therefore runs into the timeout instead of being answered by accident. Output is bounded.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import type { ClientChannel } from 'ssh2';
import { createArrival } from './arrival.ts';
import { DeviceError, shown, type Transcript } from './report.ts';

export interface CliSession {
  /** Output without echo and prompt. Throws DeviceError when the device says that it does not take the line. */
  command(line: string): Promise<string>;
  /** Throws DeviceError when the password is not taken. */
  enable(secret: string): Promise<void>;
  /** True when the prompt ends with `#`. */
  readonly privileged: () => boolean;
  close(): void;
}

const MAX_OUTPUT_BYTES = 4 * 1024 * 1024;
/** IOS shortens a host name so in the prompts of configuration mode. */
const PROMPT_PREFIX = 20;
/** A prompt with its line end before it lies within so many characters. */
const MAX_TAIL = 1024;
const FIRST_PROMPT = /^[A-Za-z0-9][\w.:/@+-]{0,127}[>#] ?$/;
const PROMPT_REST = /^[\w.:/@+-]{0,128}(\([^()]{0,128}\))?[>#] ?$/;
const SETTLE_MS = 150;
// biome-ignore lint/suspicious/noControlCharactersInRegex: it is the escape character that is looked for.
const ESCAPE_SEQUENCE = /\x1b\[[0-9;?]*[A-Za-z]/g;
const PAGER = /--\s*More\s*--|<--- More --->/;
/** What IOS, IOS-XR and EOS begin a complaint with; XR has notes that begin so as well and are none. */
const COMPLAINT = /^\s*(% ?(?!Warning|Note|Info)|Error:|ERROR:)|authorization failed/im;

/** Waits for the first prompt. Throws DeviceError. */
export async function openCli(
  channel: ClientChannel,
  timeoutMs: number,
  transcript: Transcript,
): Promise<CliSession> {
  let buffer = '';
  const arrival = createArrival(channel, timeoutMs);
  channel.setEncoding('utf8');
  channel.on('data', (data: string) => {
    if (buffer.length + data.length > MAX_OUTPUT_BYTES)
      return arrival.fail('the device says more than 4 MiB to one command');
    buffer += data;
    arrival.notify();
  });

  /** What came until `isEnd` likes the last line; the buffer is emptied. */
  function until(isEnd: (lastLine: string) => boolean, what: string): Promise<string> {
    let lastLine = '';
    return arrival.until(
      () => {
        const tail = clean(buffer.slice(-MAX_TAIL));
        lastLine = tail.slice(tail.lastIndexOf('\n') + 1);
        if (PAGER.test(lastLine)) throw new DeviceError('the device pages its output');
        if (!isEnd(lastLine)) return null;
        const text = clean(buffer);
        buffer = '';
        return text;
      },
      () => `${what}: no prompt${lastLine === '' ? '' : `, but "${shown(lastLine).slice(0, 80)}",`}`,
    );
  }

  await until((line) => FIRST_PROMPT.test(line), 'login');
  // A banner may look like a prompt: what an empty line is answered with is one.
  await sleep(SETTLE_MS);
  buffer = '';
  channel.write('\n');
  const answer = await until((line) => FIRST_PROMPT.test(line), 'login');
  let prompt = answer.slice(answer.lastIndexOf('\n') + 1).trimEnd();
  const prefix = prompt.slice(0, -1).slice(0, PROMPT_PREFIX);
  const isPrompt = (line: string) => line.startsWith(prefix) && PROMPT_REST.test(line.slice(prefix.length));

  function take(text: string, echo: string): string {
    const end = text.lastIndexOf('\n');
    prompt = text.slice(end + 1).trimEnd();
    const lines = text.slice(0, Math.max(0, end)).split('\n');
    if (lines[0]?.trim().endsWith(echo.trim())) lines.shift();
    return lines.join('\n').trim();
  }

  return {
    privileged: () => prompt.endsWith('#'),
    async command(line) {
      const failure = arrival.failure();
      if (failure !== null) throw failure;
      transcript.add('>', line);
      buffer = '';
      channel.write(`${line}\n`);
      const output = take(await until(isPrompt, `"${shown(line).slice(0, 80)}"`), line);
      if (output !== '') transcript.add('<', output);
      if (COMPLAINT.test(output)) {
        const complaint = output.split('\n').find((one) => COMPLAINT.test(one)) ?? output;
        throw new DeviceError(
          `the device does not take "${shown(line).slice(0, 80)}": ${shown(complaint.trim())}`,
          {
            transient: false,
          },
        );
      }
      return output;
    },
    async enable(secret) {
      transcript.add('>', 'enable');
      buffer = '';
      channel.write('enable\n');
      const asked = await until((line) => /password: ?$/i.test(line) || isPrompt(line), '"enable"');
      if (/password: ?$/i.test(asked)) {
        channel.write(`${secret}\n`);
        take(await until((line) => isPrompt(line) || /password: ?$/i.test(line), '"enable"'), '');
      } else take(asked, 'enable');
      if (!prompt.endsWith('#'))
        throw new DeviceError('the device does not accept the enable password', { transient: false });
    },
    close: () => channel.end(),
  };
}

/** Without carriage returns, escape sequences and what was rubbed out. */
function clean(text: string): string {
  let out = text.replace(ESCAPE_SEQUENCE, '').replace(/\r+\n/g, '\n');
  if (out.includes('\b')) out = out.replace(/[^\b\n]\b/g, '').replace(/\b/g, '');
  return out.replace(/\r/g, '');
}
