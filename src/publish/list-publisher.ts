/**
 * The lists of this process: what each target's file says, and what is noted when one changes. Who is in them is decided in
 * list-admissions.ts, which of them are held at an earlier revision in list-pins.ts.
 *
 * Every list is made of the same admitted hosts, so that files, HTTP and pushes agree. It must never write a list that an
 * interlock forbids, an earlier revision neither, and never let go of a host because its own state was lost. A target
 * that cannot be written keeps its old text and is tried again with the next change.
 */

import type { BuiltAcl } from '../acl/build.ts';
import { ACL_FAMILIES, type AclFamily, type AclModel, type LeftOut } from '../acl/model.ts';
import { builtFor, renderAcl, renderBuilt } from '../acl/render.ts';
import { revisionOf } from '../acl/revision.ts';
import { decodeModel, deniedHosts, encodeModel } from '../acl/stored-model.ts';
import { unifiedDiff } from '../acl/unified-diff.ts';
import type { AclTargetConfig, Config } from '../config/schema.ts';
import { missingListsReason } from '../detect/policy.ts';
import { messageOf, RogueSmtpError } from '../errors.ts';
import { formatPrefix } from '../flow/prefix.ts';
import type { Incident } from '../messages/alert.ts';
import { hostStreamKey } from '../messages/decision.ts';
import { namedHosts, requestFor, requestOf } from './acl-request.ts';
import { fileOf, listName, targetNamed } from './acl-target.ts';
import type { Admissions } from './admission.ts';
import { createListAdmissions, lostReason } from './admissions.ts';
import { type DeniedList, type DeniedLists, listsDenying } from './denied-lists.ts';
import type { RollbackChoice, TargetState } from './desk.ts';
import { type BlockedHost, createHandBlocks } from './hand-blocks.ts';
import type { HookCall } from './hook.ts';
import { aclRevisions, keptRevision, publishAcl, publishedAcl } from './list-files.ts';
import { createListMemory } from './list-state.ts';
import { createListNotices, type ListNoticesDependencies, MAX_NAMED } from './notices.ts';
import { createListPins, type RollbackRequest } from './pins.ts';
import type { StandingDecisions } from './standing-decisions.ts';

export interface ListPublisherDependencies extends ListNoticesDependencies {
  readonly config: () => Config;
  /** Newest state of each host's incident. May throw RogueSmtpError `unavailable`: nothing is written then. */
  readonly incidents: () => readonly Incident[];
  /** That of a host, by its stream key. */
  readonly incidentOf: (key: string) => Incident | undefined;
  /** Whom people released or rejected: no list names them, an earlier revision neither. */
  readonly decisions: StandingDecisions;
  /** What tells the stream of the incidents from every other one; null where that cannot be told. */
  readonly incidentsFrom?: () => string | null;
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

/** `time_to_block_ms`: from the first record of the host; null where only a list that is held names it. */
interface Listed {
  readonly at: string;
  readonly time_to_block_ms: number | null;
}

/** Which hosts a list is previewed with: the listed ones, those that wait for approval, or others made of them. */
export interface PreviewChoice {
  readonly hosts: (listed: readonly BlockedHost[], waiting: readonly BlockedHost[]) => readonly BlockedHost[];
  /** The stream key of a host that no decision keeps out of the list, and that is not held. */
  readonly but?: string;
}

export interface ListPreview {
  /** '' where there is no file. */
  readonly before: string;
  readonly after: string;
}

/** Everything that waits is approved. */
export const ALL_APPROVED: PreviewChoice = {
  hosts: (listed, waiting) => [
    ...new Map([...listed, ...waiting].map((one) => [hostStreamKey(one), one])).values(),
  ],
};

export interface ListPublisher {
  /** Reads what is remembered. Before it, nothing is published. Throws RogueSmtpError `io`. */
  open(): Promise<void>;
  /** Brings all lists up to date. What goes wrong is logged. */
  publish(): Promise<void>;
  /** Hosts that the lists may name. Throws RogueSmtpError `unavailable` while that is not known. */
  listed(): readonly BlockedHost[];
  /** All that is known of hosts, blocks by hand among it. Throws as `listed` does. */
  known(): readonly (Incident | BlockedHost)[];
  /** The hosts that a list of a family names, in numerical order. */
  hosts(family: AclFamily): readonly string[];
  /** Whom the lists deny as they lie there. */
  denied(): Promise<DeniedLists>;
  /** Since when lists deny the host of an incident; undefined while none does. */
  listedSince(incident: Pick<Incident, 'host' | 'site'>, denied: DeniedLists): Listed | undefined;
  /** A sentence for each list that is held at an earlier revision, which the plain lists do not follow. */
  heldLists(): readonly string[];
  admissions(): Admissions;
  /** A target's list as it would be written now. Throws RogueSmtpError `refused`, `not_found`. */
  render(target: AclTargetConfig, family: AclFamily): TargetList;
  /** What each list would change to if everything that waits were approved, as unified diffs. */
  diff(name?: string): Promise<string>;
  /** The text that lies there, and the list of other hosts. Throws as `render` does. */
  preview(target: AclTargetConfig, family: AclFamily, choice: PreviewChoice): Promise<ListPreview>;
  targets(): Promise<readonly TargetState[]>;
  /**
   * Why lists are not as they should be, in words; empty while they are. A list that an interlock refuses, such as a policy
   * without senders, is as it should be.
   */
  problems(): readonly string[];
  /** A revision that is kept. Throws RogueSmtpError `not_found`. */
  textOf(target: AclTargetConfig, family: AclFamily, revision: string): Promise<string>;
  /** What `rollback` would change, as unified diffs. Throws as `rollback` does. */
  rollbackDiff(choice: RollbackChoice): Promise<string>;
  /**
   * Puts an earlier revision in force, and holds it there: the one before, or the one named. Throws RogueSmtpError
   * `not_found`, or `refused` where an interlock forbids all of it.
   */
  rollback(request: RollbackRequest): Promise<readonly string[]>;
  /** Lets go of listed hosts whose incident was lost, and writes the lists again. */
  forgetLost(by: string, reason: string): Promise<readonly string[]>;
  /** Lets lists follow the incidents again. */
  follow(names: readonly string[], by: string, reason: string): Promise<readonly string[]>;
  /** Which revision a hook has taken. */
  hooked(key: string): string | undefined;
  noteHooked(key: string, revision: string): Promise<void>;
  /** Tells people that the hook of a list fails. */
  hookFailed(key: string, reason: string): void;
}

export function createListPublisher(dependencies: ListPublisherDependencies): ListPublisher {
  const { config, incidents, decisions, audit, log, now } = dependencies;
  const notices = createListNotices(dependencies);
  const memory = createListMemory(() => config().data);
  const hand = createHandBlocks(dependencies);
  const admissions = createListAdmissions({ ...dependencies, hand, memory, notices });
  const pins = createListPins({ config, memory, decisions, hand, audit, now });
  /** Why a list was not written, by its name. */
  const troubles = new Map<string, string>();
  /** Lists whose file could not be written, those of `troubles` that nobody wanted. */
  const failed = new Set<string>();
  /** Whom the text of a list denies that lay there when it was read last, by its name. */
  const read = new Map<string, { readonly text: string; readonly hosts: ReadonlySet<string> }>();
  /** Why no list is brought up to date, or null. */
  let stuck: string | null = null;
  let toldStuck: string | null = null;
  let working: Promise<unknown> = Promise.resolve();

  /** A name that nobody can resolve is a mistake or another's trouble: it is told, and no reason to call the service unready. */
  const waitsForNames = (): boolean =>
    config().missingLists === undefined && stuck === missingListsReason(config());

  /** State and files change in one place at a time. */
  function inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = working.then(work);
    working = result.catch(() => undefined);
    return result;
  }

  function render(target: AclTargetConfig, family: AclFamily): TargetList {
    return renderBuilt(target, builtOf(target, family), (other) => builtOf(target, other));
  }

  /** A platform with one list for both families may have only one of them pinned. */
  function builtOf(target: AclTargetConfig, family: AclFamily): BuiltAcl {
    const held = pins.rules(target, family);
    if (held !== null) return held;
    return builtFor(requestNow(target, family, admissions.listed()));
  }

  function requestNow(
    target: AclTargetConfig,
    family: AclFamily,
    offenders: readonly BlockedHost[],
    but?: string,
  ) {
    const exempt = decisions
      .exempt(target.site, but)
      .filter(({ prefix }) => but === undefined || !but.endsWith(`|${formatPrefix(prefix)}`));
    return requestFor(config(), offenders, requestOf(target, family), now(), exempt);
  }

  async function publishAll(): Promise<void> {
    if (!memory.isOpen()) return;
    const missing = missingListsReason(config());
    stuck = missing;
    if (missing !== null) {
      // No host may count as listed either.
      for (const target of config().acl.targets)
        for (const family of ACL_FAMILIES)
          reportTrouble(target, family, new RogueSmtpError('refused', missing));
      return;
    }
    try {
      await assertFilesKnown();
      await admissions.update();
    } catch (error) {
      // Not remembered, a host that was held back could slip in later: better nothing new now.
      stuck = messageOf(error);
      if (toldStuck === stuck) return;
      toldStuck = stuck;
      const kept = new Set([...admissions.strayed(), ...admissions.lost()]);
      if (kept.size > 0) notices.lost([...kept], stuck);
      log.error({ error: messageOf(error) }, 'the lists are left as they were');
      return;
    }
    toldStuck = null;
    for (const target of config().acl.targets) {
      for (const family of ACL_FAMILIES) {
        try {
          await publishTarget(target, family);
          troubles.delete(listName(target, family));
          failed.delete(listName(target, family));
        } catch (error) {
          reportTrouble(target, family, error);
        }
      }
    }
    const lists = await denied();
    await admissions
      .noteListed((incident) => listsDenying(lists, incident).length > 0)
      .catch((error: unknown) =>
        log.error({ error: messageOf(error) }, 'the time of a block could not be noted'),
      );
  }

  /**
   * Without a memory of who is listed, as after the data directory was lost, files that name hosts of whom nothing is known
   * are all that is left of it. Throws RogueSmtpError `io`.
   */
  async function assertFilesKnown(): Promise<void> {
    if (memory.state().admissions !== null) return;
    const known = new Set([...incidents(), ...decisions.handBlocks()].map(({ host }) => host));
    const foreign = new Set<string>();
    for (const target of config().acl.targets) {
      if (target.kind !== 'offenders') continue;
      for (const family of ACL_FAMILIES) {
        // What cannot be read cannot be written either, and that is reported where it is tried.
        const text = await publishedAcl(fileOf(config(), target, family)).catch(() => null);
        const model = text === null ? null : await modelOf(target, family, text);
        for (const host of model === null ? [] : deniedHosts(model)) if (!known.has(host)) foreign.add(host);
      }
    }
    if (foreign.size > 0) throw new RogueSmtpError('io', lostReason([...foreign]));
  }

  /** A list that is refused or cannot be written keeps its old text, and the log says so once, not every minute. */
  function reportTrouble(target: AclTargetConfig, family: AclFamily, error: unknown): void {
    const list = listName(target, family);
    const text = messageOf(error);
    if (troubles.get(list) === text) return;
    troubles.set(list, text);
    const refused = error instanceof RogueSmtpError && error.code === 'refused';
    if (refused) failed.delete(list);
    else failed.add(list);
    log[refused ? 'warn' : 'error'](
      { target: target.name, family, reason: text },
      'the ACL is left as it was',
    );
  }

  async function publishTarget(target: AclTargetConfig, family: AclFamily): Promise<void> {
    const { text, entries, leftOut, model } = render(target, family);
    const { changed, file, revision, digest, previous } = await publishAcl({
      ...fileOf(config(), target, family),
      text,
      model: encodeModel(model),
      umask: config().acl.umask,
    });
    dependencies.onText?.(target, family, text);
    dependencies.onList?.({ target, family, file, text, revision, digest, previous: previous ?? '' });
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
    const pin = pins.of(target, family);
    const before = previous === null ? null : await modelOf(target, family, previous);
    const hosts = deniedHosts(model);
    const known = new Set(before === null ? [] : deniedHosts(before));
    const added = hosts.filter((host) => !known.delete(host));
    await notices.note({
      at: new Date(now()).toISOString(),
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
  function butTrouble(list: string): string {
    const trouble = troubles.get(list);
    return trouble === undefined ? '' : `, but its file is left as it was: ${trouble}`;
  }

  async function modelOf(target: AclTargetConfig, family: AclFamily, text: string): Promise<AclModel | null> {
    const kept = await keptRevision(fileOf(config(), target, family), revisionOf(text));
    return kept === null || kept.model === null ? null : decodeModel(kept.model);
  }

  /** Asked for each incident that somebody looks at, while the file changes seldom. */
  async function hostsOf(
    target: AclTargetConfig,
    family: AclFamily,
    text: string,
  ): Promise<ReadonlySet<string> | null> {
    const list = listName(target, family);
    const known = read.get(list);
    if (known?.text === text) return known.hosts;
    const model = await modelOf(target, family, text);
    if (model === null) return null;
    const hosts = new Set(deniedHosts(model));
    read.set(list, { text, hosts });
    return hosts;
  }

  async function denied(): Promise<DeniedLists> {
    const files: DeniedList[] = [];
    for (const target of config().acl.targets) {
      if (target.kind !== 'offenders') continue;
      for (const family of ACL_FAMILIES) {
        const text = await publishedAcl(fileOf(config(), target, family)).catch(() => null);
        const hosts = text === null ? null : await hostsOf(target, family, text);
        if (hosts === null) continue;
        const heldSince = pins.of(target, family)?.at ?? null;
        files.push({ site: target.site, heldSince, hosts });
      }
    }
    const plain = missingListsReason(config()) === null ? ACL_FAMILIES.flatMap(namedNow) : [];
    return { files, plain: { site: undefined, heldSince: null, hosts: new Set(plain) } };
  }

  const namedNow = (family: AclFamily) =>
    namedHosts(config(), admissions.listed(), family, now(), decisions.exempt(undefined));

  async function preview(
    target: AclTargetConfig,
    family: AclFamily,
    { hosts, but }: PreviewChoice,
  ): Promise<ListPreview> {
    const before = (await publishedAcl(fileOf(config(), target, family))) ?? '';
    const chosen = hosts(admissions.listed(), admissions.waiting());
    return { before, after: renderAcl(requestNow(target, family, chosen, but)).text };
  }

  async function diffOf(target: AclTargetConfig, family: AclFamily): Promise<string> {
    const name = listName(target, family);
    try {
      const { before, after } = await preview(target, family, ALL_APPROVED);
      return unifiedDiff(before, after, [`${name} published`, `${name} with everything approved`]);
    } catch (error) {
      if (error instanceof RogueSmtpError && error.code === 'refused') return `# ${name}: ${error.message}\n`;
      throw error;
    }
  }

  return {
    async open() {
      try {
        await memory.open();
      } catch (error) {
        stuck = messageOf(error);
        throw error;
      }
      pins.restore();
      admissions.restore();
    },
    problems: () => [
      ...(stuck === null || waitsForNames() ? [] : [`the lists are left as they were: ${stuck}`]),
      ...config()
        .acl.targets.flatMap((target) => ACL_FAMILIES.map((family) => listName(target, family)))
        .filter((list) => failed.has(list))
        .map((list) => `the list ${list} is left as it was: ${troubles.get(list)}`),
    ],
    publish: () => inTurn(publishAll),
    listed: admissions.listed,
    known: () => hand.withHandBlocks(incidents()),
    hosts: namedNow,
    denied,
    listedSince(incident, lists) {
      const denying = listsDenying(lists, incident);
      if (denying.length === 0) return undefined;
      const admission = admissions.current().admitted.get(hostStreamKey(incident));
      const [heldSince = null] = denying.map((list) => list.heldSince).filter((at) => at !== null);
      const at = admission?.listed_at ?? heldSince;
      // Admitted it is a moment before the lists with it are written.
      return at === null ? undefined : { at, time_to_block_ms: admission?.time_to_block_ms ?? null };
    },
    heldLists: () =>
      Object.entries(memory.state().pins).map(
        ([list, { revision }]) => `${list} is held at revision ${revision}`,
      ),
    admissions: admissions.current,
    render,
    preview,
    async diff(name) {
      const targets = name === undefined ? config().acl.targets : [targetNamed(config(), name)];
      const diffs: string[] = [];
      for (const target of targets)
        for (const family of ACL_FAMILIES) diffs.push(await diffOf(target, family));
      return diffs.join('');
    },
    async targets() {
      const states: TargetState[] = [];
      for (const target of config().acl.targets) {
        for (const family of ACL_FAMILIES) {
          const pin = pins.of(target, family);
          states.push({
            target: target.name,
            family,
            kind: target.kind,
            platform: target.platform,
            revisions: await aclRevisions(fileOf(config(), target, family)),
            pin:
              pin === undefined
                ? null
                : { revision: pin.revision, by: pin.by, reason: pin.reason, at: pin.at },
            trouble: troubles.get(listName(target, family)) ?? null,
          });
        }
      }
      return states;
    },
    async textOf(target, family, revision) {
      const kept = await keptRevision(fileOf(config(), target, family), revision);
      if (kept === null)
        throw new RogueSmtpError('not_found', `${target.name} has no revision "${revision}" any more`);
      return kept.text;
    },
    async rollbackDiff(choice) {
      const diffs: string[] = [];
      const lists = await pins.preview(choice);
      const changed = (target: AclTargetConfig, family: AclFamily) =>
        lists.find((one) => one.target.name === target.name && one.family === family)?.built ??
        builtOf(target, family);
      for (const { target, family, revision } of lists) {
        const before = (await publishedAcl(fileOf(config(), target, family))) ?? '';
        const { text } = renderBuilt(target, changed(target, family), (other) => changed(target, other));
        const name = listName(target, family);
        diffs.push(unifiedDiff(before, text, [`${name} published`, `${name} rolled back to ${revision}`]));
      }
      return diffs.join('');
    },
    rollback: (request) =>
      inTurn(async () => {
        const held = await pins.hold(request);
        await publishAll();
        return [
          ...held.map(({ list, pin }) => `${list} is held at revision ${pin.revision}${butTrouble(list)}`),
          'the plain lists under /v1/lists are not rolled back: they follow the incidents',
        ];
      }),
    forgetLost: (by, reason) =>
      inTurn(async () => {
        const keys = await admissions.forgetLost();
        await notices.note({
          at: new Date(now()).toISOString(),
          by,
          what: 'forget_lost',
          why: reason,
          removed: keys.map((key) => key.slice(key.indexOf('|') + 1)).slice(0, MAX_NAMED),
        });
        await publishAll();
        return stuck === null
          ? [`${keys.length} host(s) without an incident were let go; the lists follow the incidents again`]
          : [`the lists are left as they were: ${stuck}`];
      }),
    follow: (names, by, reason) =>
      inTurn(async () => {
        const released = await pins.letGo(names, by, reason);
        await publishAll();
        return released.map((list) => `${list} follows the incidents again${butTrouble(list)}`);
      }),
    hookFailed: notices.hookFailed,
    hooked: (list) => memory.state().hooked[list],
    noteHooked: (list, revision) =>
      inTurn(async () => {
        await memory.change({ hooked: { ...memory.state().hooked, [list]: revision } });
      }),
  };
}
