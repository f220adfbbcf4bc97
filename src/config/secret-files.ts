/**
 * Files that hold a secret and that every user of the machine can read or write, as `check` warns of them.
 *
 * It looks at modes only and never at what is in the files.
 */

import { statSync } from 'node:fs';
import type { LoadedConfig } from './load.ts';
import { secretFilesOf } from './notify.ts';

interface SecretFile {
  readonly file: string;
  /** Keys whose secret is in it. */
  readonly keys: readonly string[];
}

/** In words, with what to do. Files that cannot be looked at are passed over: whoever needs them will say so. */
export function exposedSecrets(loaded: LoadedConfig): string[] {
  const warnings = [...ownSecrets(loaded), ...namedFiles(loaded)].flatMap(({ file, keys }) => {
    const mode = statSync(file, { throwIfNoEntry: false })?.mode ?? 0;
    if ((mode & 0o006) === 0) return [];
    const may = (mode & 0o002) !== 0 ? 'read or write' : 'read';
    return [
      `${file} holds a secret (${keys.join(', ')}), and every user of this machine can ${may} it: chmod o= ${file}`,
    ];
  });
  const { file } = loaded;
  // Whoever writes it can have a hook run as this program's user.
  if (file !== null && ((statSync(file, { throwIfNoEntry: false })?.mode ?? 0) & 0o002) !== 0)
    warnings.push(`${file} can be written by every user of this machine: chmod o-w ${file}`);
  return warnings;
}

/** Secrets that stand in the configuration itself, not in a variable. */
function ownSecrets({ config, file, placeOf }: LoadedConfig): SecretFile[] {
  if (file === null) return [];
  const candidates: (readonly [readonly string[], string | undefined])[] = [
    [['http', 'token'], config.http.token],
    // What was read from a file stands there, not here.
    ...config.http.tokens.map(
      ({ token, token_file }, i) =>
        [['http', 'tokens', String(i)], token_file === undefined ? token : undefined] as const,
    ),
    [['clickhouse', 'password'], config.clickhouse.password],
    [['kafka', 'sasl', 'password'], config.kafka.sasl?.password],
  ];
  const keys = candidates
    .filter(([path, value]) => value !== undefined && value !== '' && placeOf(path).startsWith(`${file}:`))
    .map(([path]) => path.join('.'));
  // What stands behind the path of such a URL is often a token.
  for (const { name, url } of config.lists)
    if (url !== undefined && new URL(url).search !== '') keys.push(`url of the list "${name}"`);
  for (const target of config.notify)
    if (
      target.type === 'webhook' &&
      (target.form === 'slack' || target.form === 'teams') &&
      target.url !== undefined
    )
      keys.push(`url of the notify target "${target.name}"`);
  return keys.length === 0 ? [] : [{ file, keys }];
}

function namedFiles({ config }: LoadedConfig): SecretFile[] {
  const { sasl, ssl } = config.kafka;
  const named: (readonly [string, string | undefined])[] = [
    ['http.token_file', config.http.token_file],
    ...config.http.tokens.map(({ name, token_file }) => [`http.tokens (${name})`, token_file] as const),
    ['http.tls.key_file', config.http.tls?.key_file],
    ['clickhouse.password_file', config.clickhouse.password_file],
    ['kafka.sasl.password_file', sasl?.password_file],
    ['kafka.ssl.key', typeof ssl === 'object' ? ssl.key : undefined],
    ...config.acl.targets.flatMap(({ name, push }) =>
      (['password_file', 'key_file', 'passphrase_file', 'enable_file'] as const).map(
        (key) => [`push.${key} of the target "${name}"`, push?.[key]] as const,
      ),
    ),
    ...config.notify.flatMap((target) =>
      secretFilesOf(target).map(
        ([key, file]) => [`${key} of the notify target "${target.name}"`, file] as const,
      ),
    ),
  ];
  const files = new Map<string, string[]>();
  for (const [key, file] of named) if (file !== undefined) files.set(file, [...(files.get(file) ?? []), key]);
  return [...files].map(([file, keys]) => ({ file, keys }));
}
