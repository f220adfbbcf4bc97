/** Which walls stand between SQL of a user and everything else, in plain words for `check` and the log. See SECURITY.md. */

import type { Confinement } from './embedded/confine.ts';

export interface Wall {
  readonly stands: boolean;
  readonly text: string;
}

const STATEMENT: Wall = {
  stands: true,
  text: 'SQL wall 1, the statement: only what is on the lists may be called, set and read',
};

/** Of the embedded engine; `confinement` as the kernel of this machine gives it. */
export function embeddedWalls({ files, network, missing }: Confinement): readonly Wall[] {
  const third = 'SQL wall 3, the kernel:';
  const kept = [
    files ? 'the engine can open only its own files' : '',
    network ? 'it can open no network connection' : '',
  ].filter((text) => text !== '');
  return [
    STATEMENT,
    {
      stands: true,
      text: 'SQL wall 2, the engine: statements of users run with a role that can only read our tables',
    },
    {
      stands: files && network,
      text:
        kept.length === 0
          ? `${third} does not stand; ${missing}`
          : `${third} ${kept.join('; ')}${missing === '' ? '' : `. Missing: ${missing}`}`,
    },
  ];
}

/**
 * Of a ClickHouse server; `role`: whether it has the role of readers (schemas/clickhouse/reader.sql); `readonly`: of the
 * profile of our user.
 */
export function serverWalls(role: boolean, readonly: 0 | 1 | 2 = 0): readonly Wall[] {
  return [
    STATEMENT,
    {
      stands: role,
      text: role
        ? `SQL wall 2, the engine: statements of users run with the role rogue_smtp_reader${readonly === 1 ? ', with the limits of its profile alone' : ''}`
        : 'SQL wall 2, the engine: the server has no role rogue_smtp_reader for our user, so statements run with all its rights and readonly = 1; schemas/clickhouse/reader.sql makes one',
    },
    {
      stands: false,
      text: 'SQL wall 3, the kernel: not ours to build around a ClickHouse server; its own unit or container has to',
    },
  ];
}
