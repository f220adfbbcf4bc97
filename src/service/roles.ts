/** The roles, and which of them a process may have under a configuration. */

import type { Config } from '../config/schema.ts';
import { RogueSmtpError } from '../errors.ts';

export const ROLES = ['collect', 'detect', 'store', 'serve'] as const;
export type Role = (typeof ROLES)[number];

/** Throws RogueSmtpError `config` for a role by itself without what it would share with the others. */
export function checkRoles(config: Config, roles: ReadonlySet<Role>): void {
  if (roles.size === ROLES.length || config.kafka.brokers.length > 0) return;
  throw new RogueSmtpError(
    'config',
    `${[...roles].join(', ')} as a process of its own needs kafka.brokers; without Kafka all roles are in one process: rogue-smtp run`,
  );
}
