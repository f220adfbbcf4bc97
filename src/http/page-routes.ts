/** The routes that the page asks, from its model. Without one, as in a process that has no lists, they say so. */

import type { Context, Hono } from 'hono';
import type { z } from 'zod';
import { csv } from '../api/csv.ts';
import { RogueSmtpError } from '../errors.ts';
import { mount } from './api/route.ts';
import { PAGE_ROUTES as ROUTES } from './api/routes.ts';
import type * as schemas from './api/schemas.ts';

type Query<Schema extends z.ZodType> = z.output<Schema>;

export interface PageModel {
  overview(): Promise<schemas.OverviewAnswer>;
  timeseries(query: Query<typeof schemas.seriesQuery>): Promise<schemas.SeriesAnswer>;
  hosts(query: Query<typeof schemas.hostsQuery>): Promise<schemas.HostsAnswer>;
  /** Throws RogueSmtpError `not_found` for an incident that is not known, `usage` for what is no address. */
  host(name: string): Promise<schemas.HostAnswer>;
  whatIf(name: string, query: Query<typeof schemas.whatIfQuery>): Promise<schemas.WhatIfAnswer>;
  explore(query: Query<typeof schemas.exploreQuery>): Promise<schemas.ExploreAnswer>;
  blocks(): Promise<schemas.BlocksAnswer>;
  list(target: string, family: '4' | '6'): Promise<schemas.ListAnswer>;
  coverage(): Promise<schemas.CoverageAnswer>;
  health(): Promise<schemas.HealthAnswer>;
}

export function mountPageRoutes(
  app: Hono,
  model: PageModel | null,
  events: (context: Context) => Response | Promise<Response>,
): void {
  const page = (): PageModel => {
    if (model !== null) return model;
    throw new RogueSmtpError('unavailable', 'this process answers no questions of the page');
  };
  mount(app, ROUTES.overview, () => page().overview());
  mount(app, ROUTES.timeseries, ({ query }) => page().timeseries(query));
  mount(app, ROUTES.hosts, ({ query }) => page().hosts(query));
  mount(app, ROUTES.host, ({ params }) => page().host(params.host));
  mount(app, ROUTES.whatIf, ({ params, query }) => page().whatIf(params.host, query));
  mount(app, ROUTES.explore, async ({ query, context }) => {
    const answer = await page().explore(query);
    if (query.format === 'json') return answer;
    const names = answer.columns.map(({ name }) => name);
    return context.body(csv(names, answer.rows), 200, {
      'Content-Type': 'text/csv; charset=UTF-8',
      'Content-Disposition': `attachment; filename="rogue-smtp-${query.table}.csv"`,
    });
  });
  mount(app, ROUTES.blocks, () => page().blocks());
  mount(app, ROUTES.list, ({ params }) => page().list(params.target, params.family));
  mount(app, ROUTES.coverage, () => page().coverage());
  mount(app, ROUTES.health, () => page().health());
  mount(app, ROUTES.events, ({ context }) => events(context));
}
