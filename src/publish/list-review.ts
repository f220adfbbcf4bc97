/**
 * The lists as a person looks at them before deciding: what each says, what it would say with everything approved, and what one
 * decision would change.
 *
 * It only reads. Every text comes from the renderer that writes the files, and every refusal from the check that the decision itself
 * would meet, so that what is shown is what happens.
 */

import { ACL_FAMILIES, type AclFamily, type LeftOut } from '../acl/model.ts';
import type { AclTargetConfig, Config } from '../config/schema.ts';
import { RogueSmtpError } from '../errors.ts';
import type { Incident } from '../messages/alert.ts';
import { hostStreamKey } from '../messages/decision.ts';
import { targetNamed } from './acl-target.ts';
import type { BlockDesk } from './block-desk.ts';
import type { DecisionRequest, ForeseenDecision, TargetState } from './desk.ts';
import type { BlockedHost } from './hand-blocks.ts';
import { ALL_APPROVED, type ListPreview, type ListPublisher, type PreviewChoice } from './list-publisher.ts';

/** A text before and after, or why there is no such list. */
export type Previewed = ListPreview | { readonly refused: string };

export interface ReviewedList extends TargetState {
  readonly interface: string | null;
  readonly site: string | null;
  /** As it would be written now; null where it is refused. */
  readonly now: {
    readonly text: string;
    readonly entries: number;
    readonly leftOut: readonly LeftOut[];
  } | null;
  readonly approved: Previewed;
}

export interface ReviewedDecision extends ForeseenDecision {
  /** Lists that would be different. */
  readonly lists: readonly (Pick<TargetState, 'target' | 'family' | 'platform'> & {
    readonly preview: Previewed;
  })[];
}

export interface ListReview {
  lists(): Promise<readonly ReviewedList[]>;
  /** Throws RogueSmtpError `not_found`. */
  list(target: string, family: AclFamily): Promise<ReviewedList>;
  /** Throws RogueSmtpError `usage`, `not_found`. */
  decision(request: DecisionRequest): Promise<ReviewedDecision>;
}

export interface ListReviewDependencies {
  readonly config: () => Config;
  readonly publisher: ListPublisher;
  readonly desk: Pick<BlockDesk, 'foresee'>;
  /** The newest incident of a host, by its stream key. */
  readonly incidentOf: (key: string) => Incident | undefined;
  readonly now: () => number;
}

export function createListReview(dependencies: ListReviewDependencies): ListReview {
  const { config, publisher, desk, incidentOf, now } = dependencies;

  async function previewed(
    target: AclTargetConfig,
    family: AclFamily,
    choice: PreviewChoice,
  ): Promise<Previewed> {
    try {
      return await publisher.preview(target, family, choice);
    } catch (error) {
      if (error instanceof RogueSmtpError && error.code === 'refused') return { refused: error.message };
      throw error;
    }
  }

  function renderedNow(target: AclTargetConfig, family: AclFamily): ReviewedList['now'] {
    try {
      const { text, entries, leftOut } = publisher.render(target, family);
      return { text, entries, leftOut };
    } catch (error) {
      if (error instanceof RogueSmtpError && error.code === 'refused') return null;
      throw error;
    }
  }

  async function reviewed(state: TargetState): Promise<ReviewedList> {
    const target = targetNamed(config(), state.target);
    return {
      ...state,
      interface: target.interface ?? null,
      site: target.site ?? null,
      now: renderedNow(target, state.family),
      approved: await previewed(target, state.family, ALL_APPROVED),
    };
  }

  /** The host as it would be listed. */
  function blocked({ host, site, until }: ForeseenDecision, key: string): BlockedHost {
    const at = new Date(now()).toISOString();
    const known = incidentOf(key);
    const block = {
      state: 'published' as const,
      reason: '',
      since: at,
      until: until ?? known?.block.until ?? null,
      approved_by: 'preview',
    };
    return known === undefined
      ? { host, site, incident_id: '', grade: null, sessions: 0, first_seen: at, byHand: true, block }
      : { ...known, block };
  }

  return {
    async lists() {
      const states = await publisher.targets();
      return Promise.all(states.map(reviewed));
    },
    async list(name, family) {
      const target = targetNamed(config(), name);
      const state = (await publisher.targets()).find(
        (one) => one.target === target.name && one.family === family,
      );
      if (state === undefined)
        throw new RogueSmtpError('not_found', `there is no list ${name} of IPv${family}`);
      return reviewed(state);
    },
    async decision(request) {
      const foreseen = await desk.foresee(request);
      const key = hostStreamKey(foreseen);
      const adds = request.action === 'block' || request.action === 'approve';
      const choice: PreviewChoice = {
        hosts: (listed) => [
          ...listed.filter((one) => hostStreamKey(one) !== key),
          ...(adds ? [blocked(foreseen, key)] : []),
        ],
        but: key,
      };
      const lists: ReviewedDecision['lists'][number][] = [];
      if (foreseen.refused === null)
        for (const target of config().acl.targets)
          for (const family of ACL_FAMILIES) {
            const preview = await previewed(target, family, choice);
            if ('before' in preview && preview.before === preview.after) continue;
            lists.push({ target: target.name, family, platform: target.platform, preview });
          }
      return { ...foreseen, lists };
    },
  };
}
