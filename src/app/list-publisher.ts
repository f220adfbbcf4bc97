/**
 * The lists of this process: who is in them, what each target's file says, and what is told when one changes.
 *
 * Every list is made of the same admitted hosts, so that files, HTTP and pushes agree. It must never write a list that an
 * interlock forbids, an earlier revision neither, and never let go of a host because its own state was lost. A target
 * that cannot be written keeps its old text and is tried again with the next change.
 */

import { join } from 'node:path';
import { type Admissions, admit } from '../acl/admission.ts';
import type { BuiltAcl, LeftOut } from '../acl/build.ts';
import type { AclFamily, AclModel } from '../acl/model.ts';
import { type AclFile, aclRevisions, keptRevision, publishAcl, publishedAcl } from '../acl/publish.ts';
import { builtFor, renderAcl, renderBuilt } from '../acl/render.ts';
import { revisionOf } from '../acl/revision.ts';
import { decodeModel, deniedHosts, encodeModel, recheckModel } from '../acl/stored-model.ts';
import { unifiedDiff } from '../acl/unified-diff.ts';
import type { AclTargetConfig, Config } from '../config/schema.ts';
import { missingListsReason } from '../detect/policy.ts';
import { messageOf, RogueSmtpError } from '../errors.ts';
import type { TargetState } from '../http/acl-desk.ts';
import type { Alert, Incident } from '../messages/alert.ts';
import { hostStreamKey } from '../messages/decision.ts';
import { hostlessAlert } from '../messages/hostless-alert.ts';
import { blockedOf, namedHosts, requestFor, requestOf } from './acl-request.ts';
import type { AuditLog } from './audit-log.ts';
import type { HookCall } from './list-hook.ts';
import { type ListState, type Pin, readListState, writeListState } from './list-state.ts';
import type { Logger } from './logger.ts';

const FAMILIES: readonly AclFamily[] = ['4', '6'];

export interface ListPublisherDependencies {
  readonly config: () => Config;
  /** Newest state of each host's incident. May throw RogueSmtpError `unavailable`: nothing is written then. */
  readonly incidents: () => readonly Incident[];
  readonly audit: AuditLog;
  readonly log: Logger;
  readonly now: () => number;
  /** Tells people about a list that waits. */
  readonly tell: (alert: Alert) => void;
  readonly policyVersion: () => string;
  /** What a target's list is, each time it was rendered and is in its file. */
  readonly onText?: (target: AclTargetConfig, family: AclFamily, text: string) => void;
  /** The same with the text before, which is what was there when it was written. */
  readonly onList?: (call: HookCall) => void;
  /** Seconds from the first record of a host that was blocked without a person to the lists that name it. */
  readonly onBlocked?: (seconds: number) => void;
}

interface TargetList {
  readonly text: string;
  readonly entries: number;
  readonly leftOut: readonly LeftOut[];
  readonly model: AclModel;
}

export interface ListPublisher {
  /** Reads what is remembered. Before it, nothing is published. Throws RogueSmtpError `io`. */
  open(): Promise<void>;
  /** Brings all lists up to date. What goes wrong is logged. */
  publish(): Promise<void>;
  /** Incidents whose host the lists may name. Throws RogueSmtpError `unavailable` while that is not known. */
  listed(): readonly Incident[];
  /** The hosts that a list of a family names, in numerical order. */
  hosts(family: AclFamily): readonly string[];
  admissions(): Admissions;
  /** A target's list as it would be written now. Throws RogueSmtpError `refused`, `not_found`. */
  render(target: AclTargetConfig, family: AclFamily): TargetList;
  /** What each list would change to if everything that waits were approved, as unified diffs. */
  diff(name?: string): Promise<string>;
  targets(): Promise<readonly TargetState[]>;
  /** A revision that is kept. Throws RogueSmtpError `not_found`. */
  textOf(target: AclTargetConfig, family: AclFamily, revision: string): Promise<string>;
  /**
   * Puts an earlier revision in force, and holds it there: the one before, or the one named. Throws RogueSmtpError
   * `not_found`, or `refused` where an interlock forbids all of it.
   */
  rollback(request: RollbackRequest): Promise<readonly string[]>;
  /** Lets lists follow the incidents again. */
  follow(names: readonly string[], by: string, reason: string): Promise<readonly string[]>;
  /** Which revision a hook has taken. */
  hooked(key: string): string | undefined;
  noteHooked(key: string, revision: string): Promise<void>;
  /** Tells people that the hook of a list fails. */
  hookFailed(key: string, reason: string): void;
}

interface RollbackRequest {
  /** All targets without it. */
  readonly target?: string;
  readonly to?: string;
  readonly by: string;
  readonly reason: string;
}

export function createListPublisher(dependencies: ListPublisherDependencies): ListPublisher {
  const { config, incidents, audit, log, now, tell } = dependencies;
  let state: ListState | null = null;
  let admissions: Admissions = { admitted: new Map(), held: new Map() };
  /** Why a list was not written, by target and family. */
  const troubles = new Map<string, string>();
  /** The rules of pinned revisions. */
  const pinned = new Map<string, AclModel>();
  let working: Promise<unknown> = Promise.resolve();

  const keyOf = (target: { readonly name: string }, family: AclFamily) => `${target.name}.${family}`;
  const iso = () => new Date(now()).toISOString();

  /** State and files change in one place at a time. */
  function inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = working.then(work);
    working = result.catch(() => undefined);
    return result;
  }

  function opened(): ListState {
    if (state === null) throw new RogueSmtpError('unavailable', 'the lists are not there yet');
    return state;
  }

  async function save(): Promise<void> {
    const known = opened();
    known.admissions = {
      admitted: Object.fromEntries(admissions.admitted),
      held: Object.fromEntries(admissions.held),
    };
    await writeListState(config().data, known);
  }

  function fileOf(target: AclTargetConfig, family: AclFamily): AclFile {
    return { directory: target.path ?? join(config().data, 'acl'), target: target.name, family };
  }

  function targetNamed(name: string): AclTargetConfig {
    const target = config().acl.targets.find((candidate) => candidate.name === name);
    if (target === undefined) throw new RogueSmtpError('not_found', `there is no ACL target "${name}"`);
    return target;
  }

  function blocked(): readonly Incident[] {
    return blockedOf(config(), incidents(), now());
  }

  /** Without what is remembered, "nobody" would let go of everybody. */
  function listed(): readonly Incident[] {
    opened();
    return blocked().filter((incident) => admissions.admitted.has(hostStreamKey(incident)));
  }

  function render(target: AclTargetConfig, family: AclFamily): TargetList {
    return renderBuilt(target, builtOf(target, family), (other) => builtOf(target, other));
  }

  /** A platform with one list for both families may have only one of them pinned. */
  function builtOf(target: AclTargetConfig, family: AclFamily): BuiltAcl {
    const pin = pinned.get(keyOf(target, family));
    if (pin !== undefined) return pinnedRules(target, family, pin);
    return builtFor(requestFor(config(), listed(), requestOf(target, family), now()));
  }

  function renderOf(target: AclTargetConfig, family: AclFamily, offenders: readonly Incident[]): TargetList {
    return renderAcl(requestFor(config(), offenders, requestOf(target, family), now()));
  }

  /** Throws RogueSmtpError `refused` where they may not be in force today. */
  function pinnedRules(target: AclTargetConfig, family: AclFamily, pin: AclModel): BuiltAcl {
    const request = requestFor(config(), [], requestOf(target, family), now());
    // Where the list is applied is the configuration's to say; a mode that blocks nobody is, too.
    const kept = pin.kind === 'offenders' && config().block.mode === 'observe' ? { ...pin, rules: [] } : pin;
    const placed = { ...kept, interface: target.interface ?? null };
    return recheckModel(placed, request);
  }

  async function publishAll(): Promise<void> {
    if (state === null) return;
    const missing = missingListsReason(config());
    if (missing !== null) {
      // No host may count as listed either.
      for (const target of config().acl.targets)
        for (const family of FAMILIES) reportTrouble(target, family, new RogueSmtpError('refused', missing));
      return;
    }
    try {
      await admitAll();
    } catch (error) {
      // Not remembered, a host that was held back could slip in later: better nothing new now.
      log.error({ error: messageOf(error) }, 'the lists are left as they were');
      return;
    }
    for (const target of config().acl.targets) {
      for (const family of FAMILIES) {
        try {
          await publishTarget(target, family);
          troubles.delete(keyOf(target, family));
        } catch (error) {
          reportTrouble(target, family, error);
        }
      }
    }
    await noteListed().catch((error: unknown) =>
      log.error({ error: messageOf(error) }, 'the time of a block could not be noted'),
    );
  }

  async function admitAll(): Promise<void> {
    const before = opened().admissions === null ? null : admissions;
    const candidates = blocked().map((incident) => ({
      key: hostStreamKey(incident),
      approved: incident.block.approved_by !== undefined,
    }));
    const next = admit(candidates, before, config().block.max_change, iso());
    const newlyHeld = [...next.held.keys()].filter((key) => before?.held.has(key) !== true);
    const unchanged =
      before !== null && sameKeys(before.admitted, next.admitted) && sameKeys(before.held, next.held);
    if (unchanged) return;
    const last = admissions;
    admissions = next;
    try {
      await save();
    } catch (error) {
      admissions = last;
      throw error;
    }
    if (newlyHeld.length > 0) await tellHeld(newlyHeld);
  }

  async function tellHeld(keys: readonly string[]): Promise<void> {
    const hosts = keys.map((key) => key.slice(key.indexOf('|') + 1));
    const why =
      `${hosts.length} hosts would come into the lists at once, more than block.max_change (${config().block.max_change}): ` +
      'they wait to be approved by hand (rogue-smtp acl list; acl approve)';
    log.warn({ hosts: hosts.slice(0, MAX_NAMED) }, why);
    tell({
      ...hostlessAlert({
        kind: 'coverage',
        identity: ['acl_held', ...keys],
        sinceMs: now(),
        nowMs: now(),
        reasons: [why, `among them ${hosts.slice(0, MAX_NAMED).join(', ')}`],
        policy_version: dependencies.policyVersion(),
      }),
      coverage: { cause: 'acl_held', exporters: 0, lost: 0 },
    });
    await note({ at: iso(), by: 'limits', what: 'hold_back', why, added: hosts.slice(0, MAX_NAMED) });
  }

  /** A line that cannot be written must not keep a list from being published. */
  async function note(entry: Parameters<AuditLog['append']>[0]): Promise<void> {
    await audit
      .append(entry)
      .catch((error: unknown) => log.error({ ...entry, error: messageOf(error) }, 'not in the audit log'));
  }

  /** A list that is refused or cannot be written keeps its old text, and the log says so once, not every minute. */
  function reportTrouble(target: AclTargetConfig, family: AclFamily, error: unknown): void {
    const key = keyOf(target, family);
    const text = messageOf(error);
    if (troubles.get(key) === text) return;
    troubles.set(key, text);
    const refused = error instanceof RogueSmtpError && error.code === 'refused';
    log[refused ? 'warn' : 'error'](
      { target: target.name, family, reason: text },
      'the ACL is left as it was',
    );
  }

  async function publishTarget(target: AclTargetConfig, family: AclFamily): Promise<void> {
    const { text, entries, leftOut, model } = render(target, family);
    const place = fileOf(target, family);
    const { changed, file, revision, previous } = await publishAcl({
      ...place,
      text,
      model: encodeModel(model),
    });
    dependencies.onText?.(target, family, text);
    dependencies.onList?.({ target, family, file, text, revision, previous: previous ?? '' });
    if (!changed) return;
    log.info({ target: target.name, family, entries, file, revision }, 'the ACL has changed');
    for (const { host, reason } of leftOut)
      log.warn({ target: target.name, host, reason }, 'left out of the ACL');
    await noteChange(target, family, revision, model, previous);
  }

  async function noteChange(
    target: AclTargetConfig,
    family: AclFamily,
    revision: string,
    model: AclModel,
    previous: string | null,
  ): Promise<void> {
    const pin = opened().pins[keyOf(target, family)];
    const before = previous === null ? null : await modelOf(target, family, previous);
    const hosts = deniedHosts(model);
    const known = new Set(before === null ? [] : deniedHosts(before));
    const added = hosts.filter((host) => !known.delete(host));
    await note({
      at: iso(),
      by: pin === undefined ? (target.kind === 'policy' ? 'configuration' : 'detector') : pin.by,
      what: 'publish',
      why: pin === undefined ? 'the list has changed' : `held at revision ${pin.revision}`,
      target: target.name,
      family,
      revision,
      added: added.slice(0, MAX_NAMED),
      removed: [...known].slice(0, MAX_NAMED),
    });
  }

  /** What is decided about a list holds, but whoever pushes its file now would send another. */
  function butTrouble(key: string): string {
    const trouble = troubles.get(key);
    return trouble === undefined ? '' : `, but its file is left as it was: ${trouble}`;
  }

  async function modelOf(target: AclTargetConfig, family: AclFamily, text: string): Promise<AclModel | null> {
    const kept = await keptRevision(fileOf(target, family), revisionOf(text));
    return kept === null || kept.model === null ? null : decodeModel(kept.model);
  }

  async function noteListed(): Promise<void> {
    const at = iso();
    const admitted = new Map(admissions.admitted);
    let changed = false;
    for (const incident of listed()) {
      const key = hostStreamKey(incident);
      if (admitted.get(key)?.listed_at !== null) continue;
      const time_to_block_ms = Math.max(0, now() - Date.parse(incident.first_seen));
      admitted.set(key, { listed_at: at, time_to_block_ms });
      changed = true;
      if (incident.block.approved_by === undefined) dependencies.onBlocked?.(time_to_block_ms / 1000);
    }
    if (!changed) return;
    admissions = { ...admissions, admitted };
    await save();
  }

  /** Those that a person could approve. */
  function waiting(): readonly Incident[] {
    return incidents().filter(
      (incident) => incident.block.state === 'proposed' || admissions.held.has(hostStreamKey(incident)),
    );
  }

  async function diffOf(target: AclTargetConfig, family: AclFamily): Promise<string> {
    const before = (await publishedAcl(fileOf(target, family))) ?? '';
    const hosts = new Map([...listed(), ...waiting()].map((one) => [hostStreamKey(one), one]));
    const name = keyOf(target, family);
    try {
      const { text } = renderOf(target, family, [...hosts.values()]);
      return unifiedDiff(before, text, [`${name} published`, `${name} with everything approved`]);
    } catch (error) {
      if (error instanceof RogueSmtpError && error.code === 'refused') return `# ${name}: ${error.message}\n`;
      throw error;
    }
  }

  async function pinOf(
    target: AclTargetConfig,
    family: AclFamily,
    { to, by, reason }: RollbackRequest,
  ): Promise<{ readonly key: string; readonly pin: Pin; readonly model: AclModel } | null> {
    const place = fileOf(target, family);
    const revisions = await aclRevisions(place);
    const wanted = to ?? revisions.find(({ current }) => !current)?.revision;
    const kept = wanted === undefined ? null : await keptRevision(place, wanted);
    const model = kept === null || kept.model === null ? null : decodeModel(kept.model);
    if (wanted === undefined || model === null) return null;
    pinnedRules(target, family, model);
    const pin = { revision: wanted, by, reason, at: iso(), model: encodeModel(model) };
    return { key: keyOf(target, family), pin, model };
  }

  return {
    async open() {
      const read = await readListState(config().data);
      for (const [key, pin] of Object.entries(read.pins)) {
        const model = decodeModel(pin.model);
        if (model !== null) pinned.set(key, model);
      }
      if (read.admissions !== null)
        admissions = {
          admitted: new Map(Object.entries(read.admissions.admitted)),
          held: new Map(Object.entries(read.admissions.held)),
        };
      state = read;
    },
    publish: () => inTurn(publishAll),
    listed,
    hosts: (family) => namedHosts(config(), listed(), family, now()),
    admissions: () => admissions,
    render,
    async diff(name) {
      const targets = name === undefined ? config().acl.targets : [targetNamed(name)];
      const diffs: string[] = [];
      for (const target of targets) for (const family of FAMILIES) diffs.push(await diffOf(target, family));
      return diffs.join('');
    },
    async targets() {
      const states: TargetState[] = [];
      for (const target of config().acl.targets) {
        for (const family of FAMILIES) {
          const key = keyOf(target, family);
          const pin = opened().pins[key];
          states.push({
            target: target.name,
            family,
            kind: target.kind,
            platform: target.platform,
            revisions: await aclRevisions(fileOf(target, family)),
            pin:
              pin === undefined
                ? null
                : { revision: pin.revision, by: pin.by, reason: pin.reason, at: pin.at },
            trouble: troubles.get(key) ?? null,
          });
        }
      }
      return states;
    },
    async textOf(target, family, revision) {
      const kept = await keptRevision(fileOf(target, family), revision);
      if (kept === null)
        throw new RogueSmtpError('not_found', `${target.name} has no revision "${revision}" any more`);
      return kept.text;
    },
    rollback: (request) =>
      inTurn(async () => {
        const targets = request.target === undefined ? config().acl.targets : [targetNamed(request.target)];
        const pins = [];
        for (const target of targets)
          for (const family of FAMILIES) pins.push((await pinOf(target, family, request)) ?? []);
        const found = pins.flat();
        if (found.length === 0) {
          const what = request.to === undefined ? 'an earlier revision' : `a revision "${request.to}"`;
          throw new RogueSmtpError('not_found', `${what} with its rules is not kept`);
        }
        for (const { key, pin, model } of found) {
          opened().pins[key] = pin;
          pinned.set(key, model);
        }
        await save();
        for (const { key, pin } of found)
          await audit.append({
            at: pin.at,
            by: pin.by,
            what: 'rollback',
            why: pin.reason,
            target: key,
            revision: pin.revision,
          });
        await publishAll();
        return found.map(({ key, pin }) => `${key} is held at revision ${pin.revision}${butTrouble(key)}`);
      }),
    follow: (names, by, reason) =>
      inTurn(async () => {
        for (const name of names) targetNamed(name);
        const held = Object.keys(opened().pins).filter(
          (key) => names.length === 0 || names.some((name) => key.slice(0, -2) === name),
        );
        for (const key of held) {
          delete opened().pins[key];
          pinned.delete(key);
        }
        await save();
        for (const key of held)
          await audit.append({ at: iso(), by, what: 'rollback_end', why: reason, target: key });
        await publishAll();
        return held.map((key) => `${key} follows the incidents again${butTrouble(key)}`);
      }),
    hookFailed(key, reason) {
      const why = `the hook of the list ${key} failed, and is tried again: ${reason}`;
      tell({
        ...hostlessAlert({
          kind: 'coverage',
          identity: ['acl_failed', key, now()],
          sinceMs: now(),
          nowMs: now(),
          reasons: [why],
          policy_version: dependencies.policyVersion(),
        }),
        coverage: { cause: 'acl_failed', exporters: 0, lost: 0 },
      });
      void note({ at: iso(), by: 'hook', what: 'hook_failed', why: reason, target: key });
    },
    hooked: (key) => opened().hooked[key],
    noteHooked: (key, revision) =>
      inTurn(async () => {
        opened().hooked[key] = revision;
        await save();
      }),
  };
}

/** Hosts that an alert, a log line or an audit entry names. */
const MAX_NAMED = 50;

function sameKeys(a: ReadonlyMap<string, unknown>, b: ReadonlyMap<string, unknown>): boolean {
  return a.size === b.size && [...a.keys()].every((key) => b.has(key));
}
