/**
 * Lists that are held at an earlier revision, until somebody lets them follow the incidents again.
 *
 * It must never bring back what an interlock of today forbids: what is kept are the rules of the revision, and they are
 * asked again whenever the list is made.
 */

import type { BuiltAcl } from '../acl/build.ts';
import { ACL_FAMILIES, type AclFamily, type AclModel, type AclRule, comparePrefixes } from '../acl/model.ts';
import { allowanceLimits, builtFor, mostOffenders } from '../acl/render.ts';
import { decodeModel, encodeModel, recheckModel } from '../acl/stored-model.ts';
import type { AclTargetConfig, Config } from '../config/schema.ts';
import { RogueSmtpError } from '../errors.ts';
import { formatPrefix, type Prefix } from '../flow/prefix.ts';
import { requestFor, requestOf } from './acl-request.ts';
import { fileOf, listName, targetNamed } from './acl-target.ts';
import type { AuditLog } from './audit-log.ts';
import type { Author, RollbackChoice } from './desk.ts';
import type { HandBlocks } from './hand-blocks.ts';
import { aclRevisions, keptRevision } from './list-files.ts';
import type { ListMemory, Pin } from './list-state.ts';
import type { StandingDecisions } from './standing-decisions.ts';

export interface ListPinsDependencies {
  readonly config: () => Config;
  readonly memory: ListMemory;
  readonly decisions: StandingDecisions;
  readonly hand: HandBlocks;
  readonly audit: AuditLog;
  readonly now: () => number;
}

export type RollbackRequest = RollbackChoice & Author;

export interface ListPins {
  /** Takes over what is remembered. */
  restore(): void;
  of(target: AclTargetConfig, family: AclFamily): Pin | undefined;
  /**
   * What of the pinned rules may be in force today; null for a list that follows the incidents. Throws RogueSmtpError
   * `refused` where nothing may.
   */
  rules(target: AclTargetConfig, family: AclFamily): BuiltAcl | null;
  /**
   * Holds lists at the revision before, or the one named; those held, by name. Throws RogueSmtpError `not_found`, `refused`
   * where an interlock forbids all of it, or `io` where that could not be remembered; nothing is held then.
   */
  hold(request: RollbackRequest): Promise<readonly { readonly list: string; readonly pin: Pin }[]>;
  /** What `hold` would put into the lists, without doing it. Throws as `hold` does. */
  preview(choice: RollbackChoice): Promise<readonly RolledBackList[]>;
  /** Lets the lists of these targets go, or all; the names of the lists. Throws RogueSmtpError `not_found` or `io`. */
  letGo(targets: readonly string[], by: string, reason: string): Promise<readonly string[]>;
}

interface RolledBackList {
  readonly target: AclTargetConfig;
  readonly family: AclFamily;
  readonly revision: string;
  /** What of the revision may be in force today. */
  readonly built: BuiltAcl;
}

interface FoundList extends RolledBackList {
  readonly model: AclModel;
}

/** The list with the denials of another, which come first where there is no room for all. */
function withDenials(model: AclModel, others: AclModel, most: number): AclModel {
  const denials = [...others.rules, ...model.rules].filter(({ action }) => action === 'deny');
  const named = new Map(
    denials.map((rule) => [rule.source === null ? '' : formatPrefix(rule.source), rule] as const),
  );
  const rules = [...named.values()].slice(0, most);
  const end = ({ source }: AclRule) => source ?? EVERYONE;
  return { ...model, rules: rules.sort((a, b) => comparePrefixes(end(a), end(b))) };
}

const EVERYONE: Prefix = { bytes: new Uint8Array(16), length: 0 };

export function createListPins(dependencies: ListPinsDependencies): ListPins {
  const { config, memory, decisions, hand, audit, now } = dependencies;
  /** By the name of the list. */
  const models = new Map<string, AclModel>();
  const iso = () => new Date(now()).toISOString();

  function checked(target: AclTargetConfig, family: AclFamily, model: AclModel): BuiltAcl {
    const { site, platform } = target;
    // A block by hand has its own time: an earlier list does not make it longer.
    const exempt = [...decisions.exempt(site), ...hand.ended(site)];
    const asked = requestOf(target, family);
    const request = requestFor(config(), [], asked, now(), exempt);
    // Where the list is applied is the configuration's to say; a mode that blocks nobody is, too.
    const kept =
      model.kind === 'offenders' && config().block.mode === 'observe' ? { ...model, rules: [] } : model;
    const checked = { ...kept, interface: target.interface ?? null, own: target.traffic === 'own' };
    const limits = allowanceLimits(platform);
    if (kept.kind === 'policy') return recheckModel(checked, request, limits);
    // What a person wants blocked now stands whatever the list of that time says.
    const byHand = builtFor({ ...requestFor(config(), hand.published(), asked, now(), exempt) });
    const most = Math.min(mostOffenders(platform), config().block.max_entries);
    const rechecked = recheckModel(withDenials(checked, byHand.model, most), request, limits);
    return { ...rechecked, leftOut: [...rechecked.leftOut, ...byHand.leftOut] };
  }

  async function find(
    target: AclTargetConfig,
    family: AclFamily,
    to: string | undefined,
  ): Promise<FoundList | null> {
    const place = fileOf(config(), target, family);
    const revisions = await aclRevisions(place);
    const wanted =
      to === undefined
        ? revisions.find(({ current }) => !current)
        : revisions.find(({ revision, digest }) => revision === to || digest === to);
    const kept = wanted === undefined ? null : await keptRevision(place, wanted.digest);
    const model = kept === null || kept.model === null ? null : decodeModel(kept.model);
    if (wanted === undefined || model === null) return null;
    return { target, family, revision: wanted.revision, model, built: checked(target, family, model) };
  }

  async function findAll({ target: name, family: only, to }: RollbackChoice): Promise<readonly FoundList[]> {
    const targets = name === undefined ? config().acl.targets : [targetNamed(config(), name)];
    const found: FoundList[] = [];
    for (const target of targets) {
      for (const family of ACL_FAMILIES) {
        if (only !== undefined && family !== only) continue;
        const one = await find(target, family, to);
        if (one !== null) found.push(one);
      }
    }
    if (found.length === 0) {
      const what = to === undefined ? 'an earlier revision' : `a revision "${to}"`;
      throw new RogueSmtpError('not_found', `${what} with its rules is not kept`);
    }
    return found;
  }

  return {
    restore() {
      for (const [list, pin] of Object.entries(memory.state().pins)) {
        const model = decodeModel(pin.model);
        if (model !== null) models.set(list, model);
      }
    },
    of: (target, family) => memory.state().pins[listName(target, family)],
    rules(target, family) {
      const model = models.get(listName(target, family));
      return model === undefined ? null : checked(target, family, model);
    },
    preview: findAll,
    async hold({ by, reason, ...choice }) {
      const held = (await findAll(choice)).map(({ target, family, revision, model }) => {
        const pin: Pin = { revision, by, reason, at: iso(), model: encodeModel(model) };
        return { list: listName(target, family), pin, model };
      });
      const pinned = Object.fromEntries(held.map(({ list, pin }) => [list, pin]));
      await memory.change({ pins: { ...memory.state().pins, ...pinned } });
      for (const { list, model } of held) models.set(list, model);
      for (const { list, pin } of held)
        await audit.append({
          at: pin.at,
          by: pin.by,
          what: 'rollback',
          why: pin.reason,
          target: list,
          revision: pin.revision,
        });
      return held;
    },
    async letGo(targets, by, reason) {
      for (const name of targets) targetNamed(config(), name);
      const pins = { ...memory.state().pins };
      const held = Object.keys(pins).filter(
        (list) => targets.length === 0 || targets.some((name) => list.slice(0, -2) === name),
      );
      for (const list of held) delete pins[list];
      await memory.change({ pins });
      for (const list of held) models.delete(list);
      for (const list of held)
        await audit.append({ at: iso(), by, what: 'rollback_end', why: reason, target: list });
      return held;
    },
  };
}
