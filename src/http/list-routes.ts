/** `/v1`: block lists and ACLs as routers and firewalls fetch them. */

import { type Context, Hono } from 'hono';
import { z } from 'zod';
import { ACL_FAMILIES } from '../acl/model.ts';
import type { ReadModel } from '../api/read-model.ts';
import { RogueSmtpError } from '../errors.ts';
import { conditionalBody } from './api/route.ts';
import { ipsetScript, listNotes, textList } from './list-forms.ts';
import { valid } from './valid.ts';

export interface ListSources {
  readonly model: ReadModel;
  /** Hosts of a family that are in the block lists now, in numerical order. */
  readonly blockedHosts: (family: '4' | '6') => readonly string[];
  /** A sentence for each list of a target that is held at an earlier revision; the lists here do not follow it. */
  readonly heldLists: () => readonly string[];
  /** The text of a configured ACL target. */
  readonly aclTarget: (name: string, family: '4' | '6', revision?: string) => Promise<string>;
}

export function createListRoutes(sources: ListSources): Hono {
  const app = new Hono();
  app.get('/lists/:name', async (context) => {
    const match = /^offenders\.(?:(v4|v6|all)\.txt|v(4|6)\.(ipset|nft|rsc))$/.exec(context.req.param('name'));
    if (match === null)
      throw new RogueSmtpError(
        'not_found',
        'the lists are offenders.v4.txt, offenders.v6.txt, offenders.all.txt, and offenders.v4 or .v6 as .ipset, .nft, .rsc',
      );
    const [, plain, digit, form] = match;
    const notes = listNotes(
      sources.heldLists().map((held) => `not rolled back: ${held}, this list follows the incidents`),
    );
    if (plain !== undefined) {
      const families = plain === 'all' ? ACL_FAMILIES : plain === 'v4' ? (['4'] as const) : (['6'] as const);
      const hosts = families.flatMap((family) => sources.blockedHosts(family));
      return conditional(context, notes + textList(hosts));
    }
    const family = digit === '4' ? '4' : '6';
    if (form === 'ipset')
      return conditional(context, notes + ipsetScript(sources.blockedHosts(family), family));
    const platform = form === 'nft' ? 'nftables' : 'mikrotik';
    const { text } = await sources.model.renderAcl({ platform, kind: 'offenders', family });
    return conditional(context, notes + text);
  });
  app.get('/acl/:target', async (context) => {
    const family = valid(z.enum(ACL_FAMILIES).default('4'), context.req.query('family'));
    const revision = valid(z.string().max(64).optional(), context.req.query('rev'));
    return conditional(context, await sources.aclTarget(context.req.param('target'), family, revision));
  });
  return app;
}

const conditional = (context: Context, text: string): Response =>
  conditionalBody(context, text, text, { type: 'text/plain; charset=utf-8', weak: false });
