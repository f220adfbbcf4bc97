/** The routes that the command line asks, from the read model. */

import type { Hono } from 'hono';
import type { CanaryResult, PolicyStatus, ReadModel } from '../api/read-model.ts';
import { RogueSmtpError } from '../errors.ts';
import type { AclRenderRequest } from '../publish/acl-request.ts';
import { mount } from './api/route.ts';
import { COMMAND_ROUTES as ROUTES } from './api/routes.ts';

export interface CommandSources {
  readonly model: ReadModel;
  /** Sends a canary; absent where this process cannot. */
  readonly canary?: () => Promise<CanaryResult>;
  /** Reads the configuration file again; `force`: what it loses is meant. Resolves with what came of it. */
  readonly reload: (force: boolean) => Promise<PolicyStatus>;
  /** Stops the repetition of notifications about an incident; false where none is repeated. Null or absent: nobody notifies here. */
  readonly acknowledge?: ((incident: string) => Promise<boolean>) | null;
}

export function mountCommandRoutes(
  app: Hono,
  { model, reload, canary, acknowledge = null }: CommandSources,
): void {
  mount(app, ROUTES.status, () => model.status());
  mount(app, ROUTES.offenders, () => model.offenders());
  mount(app, ROUTES.inventory, () => model.inventory());
  mount(app, ROUTES.exporters, () => model.exporters());
  mount(app, ROUTES.sight, async () => ({ ...(await model.sight()) }));
  mount(app, ROUTES.alerts, ({ query }) => model.alerts(query));
  mount(app, ROUTES.incident, ({ params }) => model.incident(params.id));
  mount(app, ROUTES.render, async ({ query }) => {
    const { form, interface: lan, site, ...rest } = query;
    const request: AclRenderRequest = {
      ...rest,
      ...(form !== undefined && { form }),
      ...(lan !== undefined && { interface: lan }),
      ...(site !== undefined && { site }),
    };
    const { text, entries, leftOut } = await model.renderAcl(request);
    return { text, entries, left_out: leftOut };
  });
  mount(app, ROUTES.explain, ({ params }) => model.explain(params.id));
  mount(app, ROUTES.canary, () => {
    if (canary === undefined)
      throw new RogueSmtpError(
        'refused',
        'this process sends no canary: ask one that runs the roles collect and serve',
      );
    return canary();
  });
  mount(app, ROUTES.acknowledge, async ({ body: { incident } }) => {
    if (acknowledge === null || !(await acknowledge(incident)))
      throw new RogueSmtpError(
        'not_found',
        `no notification about incident ${incident} is being repeated here (notify[].repeat)`,
      );
    return { acknowledged: incident };
  });
  mount(app, ROUTES.reload, ({ body }) => reload(body.force));
}
