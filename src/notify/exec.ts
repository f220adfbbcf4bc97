/** Hands a message to a program of the operator, as JSON on its standard input; the program is run without a shell. */

import type { ExecTarget } from '../config/notify.ts';
import { runProgram } from '../run-program.ts';
import { plainJson, plainLine } from './message.ts';
import { failed, type Sender } from './sender.ts';

const SHOWN_CHARS = 300;

export function createExecSender(target: ExecTarget): Sender {
  return {
    async send(message, signal) {
      const { reason, output } = await runProgram({
        argv: target.command,
        input: `${plainJson(message)}\n`,
        environment: {
          ROGUE_SMTP_NOTIFICATION: message.id,
          ROGUE_SMTP_KIND: message.kind,
        },
        timeoutMs: target.timeout,
        signal,
      });
      const said = plainLine(output.trim().replace(/\s+/g, ' ').slice(-SHOWN_CHARS), SHOWN_CHARS);
      if (reason !== null) return failed(said === '' ? reason : `${reason}: ${said}`);
      return { ok: true, answer: said === '' ? 'the program ended with exit code 0' : said };
    },
  };
}
