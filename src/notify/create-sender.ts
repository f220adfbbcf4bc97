/** The sender of a target, by its type. */

import type { NotifyTarget } from '../config/notify.ts';
import { createExecSender } from './exec.ts';
import { createMailSender } from './mail.ts';
import type { Sender } from './sender.ts';
import { createSyslogSender } from './syslog.ts';
import { createWebhookSender } from './webhook.ts';

/** Throws RogueSmtpError `config` where a file that the target names cannot be read; nothing is sent yet. */
export function createSender(target: NotifyTarget, version: string, now: () => number): Sender {
  switch (target.type) {
    case 'webhook':
      return createWebhookSender(target, version, now);
    case 'mail':
      return createMailSender(target);
    case 'syslog':
      return createSyslogSender(target, version);
    case 'exec':
      return createExecSender(target);
  }
}
