/** The configured ACL targets: which there are, and where the file of each list lies. */

import { join } from 'node:path';
import type { AclFamily } from '../acl/model.ts';
import type { AclTargetConfig, Config } from '../config/schema.ts';
import { RogueSmtpError } from '../errors.ts';
import type { AclFile } from './list-files.ts';

/** Throws RogueSmtpError `not_found`. */
export function targetNamed(config: Config, name: string): AclTargetConfig {
  const target = config.acl.targets.find((candidate) => candidate.name === name);
  if (target === undefined) throw new RogueSmtpError('not_found', `there is no ACL target "${name}"`);
  return target;
}

/** A target's list of one family, as state and people name it: `edge.4`. */
export const listName = (target: Pick<AclTargetConfig, 'name'>, family: AclFamily) =>
  `${target.name}.${family}`;

export function fileOf(config: Config, target: AclTargetConfig, family: AclFamily): AclFile {
  return { directory: target.path ?? join(config.data, 'acl'), target: target.name, family };
}
