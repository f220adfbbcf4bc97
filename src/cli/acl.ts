/** `rogue-smtp acl render`: an access list on stdout, and on stderr who is left out of it and why. */

import type { AclRendering } from '../api/read-model.ts';
import type { LoadedConfig } from '../config/load.ts';
import type { AclRenderRequest } from '../publish/acl-request.ts';
import { renderFor } from '../publish/acl-request.ts';
import { storeExists } from '../store/open-engine.ts';
import { createClient } from './client.ts';
import { withModel } from './model.ts';
import type { ReportStreams } from './reports.ts';
import { printable } from './table.ts';

export async function aclRenderCommand(
  loaded: LoadedConfig,
  request: AclRenderRequest,
  streams: ReportStreams,
): Promise<void> {
  const show = ({ text, leftOut }: AclRendering) => {
    streams.stdout.write(text);
    for (const { host, reason } of leftOut)
      streams.stderr.write(printable(`left out: ${host}: ${reason}`).concat('\n'));
  };
  // A policy follows from the configuration alone; it must not need a service.
  if (request.kind === 'policy') return show(renderFor(loaded.config, [], request, Date.now()));
  if (!storeExists(loaded.config) && !(await createClient(loaded).isUp())) {
    streams.stderr.write(
      `no running instance answers and there is no data in ${loaded.config.data}: no offender is known\n`,
    );
    return show(renderFor(loaded.config, [], request, Date.now()));
  }
  await withModel(loaded, async (model) => show(await model.renderAcl(request)));
}
