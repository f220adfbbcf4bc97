/**
 * Follows the configuration file while the process runs: on SIGHUP at once, else when the file was seen to change.
 *
 * A new file is read, checked and compiled as a whole before anything of it comes into force; a file with a mistake
 * changes nothing, is logged with its place and stays visible in status and metrics until it is mended. So does one that
 * is gone, and one that has lost what hardly anybody means to lose (config/losses.ts), until somebody says that it is
 * meant. The file is looked at by its name, so that editors, symbolic links and mounted configuration maps all work.
 */

import { existsSync, type Stats, statSync } from 'node:fs';
import { clearInterval, setInterval } from 'node:timers';
import type { ListStatus } from '../address-lists/watch.ts';
import { createListWatch, type ListWatchDependencies } from '../address-lists/watch.ts';
import type { PolicyStatus } from '../api/read-model.ts';
import { type PrefixList, withConfirmation } from '../config/lists.ts';
import type { LoadedConfig } from '../config/load.ts';
import { suspiciousLosses } from '../config/losses.ts';
import { planReload } from '../config/reload.ts';
import type { Config } from '../config/schema.ts';
import { messageOf, RogueSmtpError } from '../errors.ts';

export interface ReloaderDependencies extends ListWatchDependencies {
  readonly now: () => number;
  /** Puts a checked configuration in force. What it throws leaves the one before in force. */
  readonly apply: (config: Config) => Promise<void>;
}

export interface Reloader {
  start(): void;
  stop(): Promise<void>;
  /** Reads the file now, whether or not it seems changed. `force`: what it loses is meant. */
  reload(options?: { readonly force?: boolean }): Promise<void>;
  /** The configuration in force. */
  readonly config: Config;
  /** When the configuration in force was read, what is wrong with a newer one, what waits for a restart. */
  readonly state: Omit<PolicyStatus, 'version' | 'lists'>;
  readonly counters: { readonly applied: number; readonly failed: number };
  /** The lists that the newest configuration names, in force or waiting to be had. */
  readonly lists: readonly PrefixList[];
  listStates(): ListStatus[];
  /** Seconds since each list was written or confirmed; infinite for one that is missing. */
  listAges(): Iterable<readonly [name: string, seconds: number]>;
}

/** A file that was seen to change is read when it was the same twice: it may still be written. */
const POLL_MS = 1000;
/** A file that is being replaced may be away for a moment; one that is away at so many looks in a row is reported. */
const LOOKS_UNTIL_GONE = 3;

export function createReloader(loaded: LoadedConfig, dependencies: ReloaderDependencies): Reloader {
  const { log, now, apply } = dependencies;
  const counters = { applied: 0, failed: 0 };
  let config = loaded.config;
  /** The newest reading that was put in force. */
  let accepted = loaded;
  let state: Reloader['state'] = { loaded_at: new Date(now()).toISOString(), error: null, need_restart: [] };
  let { lists } = loaded;
  const watch = createListWatch(dependencies);
  let timer: NodeJS.Timeout | null = null;
  let working: Promise<void> = Promise.resolve();
  let polling = false;
  /** Of the file that was read last, and of the file at the last look. */
  let read: string | null = null;
  let seen: string | null = null;
  /** Looks in a row at which a file was away. */
  let looksWithout = 0;

  /** Of the files that are followed. Without waiting, as they are read: a change right after the start is a change. */
  function signature(): string | null {
    try {
      const files = followed();
      // Answers for names come too often to be looked for in files: whoever resolves them tells what is new.
      const copies = lists.filter(({ remote }) => remote?.kind === 'url').map(({ file }) => file);
      return [
        ...files.map((file) => signatureOf(statSync(file))),
        // One that is gone is fetched anew, and must not keep changes of the configuration from being seen.
        ...copies.map((file) => signatureOf(statSync(file, { throwIfNoEntry: false }))),
      ].join(' ');
    } catch {
      return null;
    }
  }

  function followed(): string[] {
    const { token_file, tokens } = config.http;
    const files = [
      ...lists.filter(({ remote }) => remote === null).map(({ file }) => file),
      ...[token_file, ...tokens.map((one) => one.token_file)].filter((file) => file !== undefined),
    ];
    return loaded.file === null ? files : [loaded.file, ...files];
  }

  async function look(): Promise<void> {
    lists = lists.map(withConfirmation);
    watch.observe(lists, now());
    const before = seen;
    seen = signature();
    if (seen === null) {
      if (++looksWithout === LOOKS_UNTIL_GONE) reportGone();
      return;
    }
    // One that came back is read even where nothing about it has changed: the complaint must end.
    if (looksWithout >= LOOKS_UNTIL_GONE) read = null;
    looksWithout = 0;
    if (seen !== before || seen === read) return;
    await inTurn({});
  }

  function reportGone(): void {
    const gone = followed()
      .filter((file) => !existsSync(file))
      .join(', ');
    fail(`${gone}: cannot be found any more`);
  }

  function fail(reason: string): void {
    counters.failed++;
    state = { ...state, error: reason };
    log.error({ error: reason }, 'the configuration is not taken over: the one before stays in force');
  }

  function assertNothingLost(fresh: LoadedConfig): void {
    const losses = suspiciousLosses(accepted, fresh);
    if (losses.length > 0)
      throw new RogueSmtpError(
        'refused',
        `${loaded.file ?? 'the configuration'}: refused: ${losses.join('; ')}. If this is meant: rogue-smtp reload --force, or a restart`,
      );
  }

  async function readAgain({ asked = false, force = false }: Reading): Promise<void> {
    // Without a file there is nothing to read again but what variables name.
    if (loaded.file === null && lists.length === 0) {
      log.warn('there is no configuration file to read again: everything is default, or said in variables');
      return;
    }
    read = signature();
    seen = read;
    try {
      const fresh = loaded.again();
      if (!force) assertNothingLost(fresh);
      lists = fresh.lists;
      assertNoneNewlyMissing(config, fresh.config);
      const plan = planReload(config, fresh.config);
      if (plan.changed.length > 0) await apply(plan.config);
      config = plan.config;
      accepted = fresh;
      counters.applied++;
      state = { loaded_at: new Date(now()).toISOString(), error: null, need_restart: plan.needRestart };
      for (const warning of fresh.warnings) log.warn({ file: loaded.file }, warning);
      // A copy that a URL confirmed is no news.
      log[asked || plan.changed.length > 0 ? 'info' : 'debug'](
        { file: loaded.file, changed: plan.changed },
        'the configuration was read again',
      );
      if (plan.needRestart.length > 0)
        log.warn({ keys: plan.needRestart }, 'these keys stay as they were until a restart');
    } catch (error) {
      fail(messageOf(error));
    }
  }

  function inTurn(reading: Reading): Promise<void> {
    working = working.then(() => readAgain(reading));
    return working;
  }

  return {
    get config() {
      return config;
    },
    get state() {
      return state;
    },
    counters,
    listAges: () =>
      lists.map(({ name, missing, writtenMs }) => {
        const age = missing ? Number.POSITIVE_INFINITY : Math.max(0, (now() - writtenMs) / 1000);
        return [name, age] as const;
      }),
    get lists() {
      return lists;
    },
    listStates: () => watch.states(lists, now()),
    reload: (options) => inTurn({ asked: true, ...options }),
    start() {
      if (loaded.file === null && lists.length === 0) return;
      // A change between the first reading and this look is found by the next SIGHUP at the latest.
      read ??= signature();
      seen ??= read;
      timer = setInterval(() => {
        if (polling) return;
        polling = true;
        void look().finally(() => {
          polling = false;
        });
      }, POLL_MS);
      timer.unref();
    },
    async stop() {
      if (timer !== null) clearInterval(timer);
      timer = null;
      await working;
    },
  };
}

interface Reading {
  /** By a person: what came of it is said aloud. */
  readonly asked?: boolean;
  readonly force?: boolean;
}

function signatureOf(file: Stats | undefined): string {
  return file === undefined ? 'missing' : `${file.ino} ${file.size} ${file.mtimeMs} ${file.ctimeMs}`;
}

/** What is in force protects more than a configuration with a list or a name that is not there yet. */
function assertNoneNewlyMissing(running: Config, fresh: Config): void {
  const newOf = (before: readonly string[] = [], after: readonly string[] = []) =>
    after.filter((name) => !before.includes(name)).map((name) => `"${name}"`);
  const lists = newOf(running.missingLists, fresh.missingLists);
  if (lists.length > 0)
    throw new RogueSmtpError('config', `waits for the list ${lists.join(', ')}, which is being fetched`);
  const names = newOf(running.missingNames, fresh.missingNames);
  if (names.length > 0)
    throw new RogueSmtpError('config', `waits for the name ${names.join(', ')}, which is being resolved`);
}
