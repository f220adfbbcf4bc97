/** `rogue-smtp acl render`: an access list on stdout, and on stderr who is left out of it and why. */

import type { AclRendering } from '../api/read-model.ts';
import { renderListed } from '../api/stored-read-model.ts';
import type { LoadedConfig } from '../config/load.ts';
import { messageOf, RogueSmtpError } from '../errors.ts';
import { createLogger } from '../logger.ts';
import type { AclRenderRequest } from '../publish/acl-request.ts';
import { renderFor } from '../publish/acl-request.ts';
import { type ListsAtRest, readListsAtRest } from '../publish/offline-desk.ts';
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
  const client = createClient(loaded);
  if (await client.isUp()) return show(await client.renderAcl(request));
  const lists = await decidedLists(loaded);
  if (lists !== null)
    return show(renderListed(loaded.config, { blocked: () => lists.blocked, exempt: lists.exempt }, request));
  if (!storeExists(loaded.config)) {
    streams.stderr.write(
      `no running instance answers and there is no data in ${loaded.config.data}: no offender is known\n`,
    );
    return show(renderFor(loaded.config, [], request, Date.now()));
  }
  await withModel(loaded, async (model) => show(await model.renderAcl(request)));
}

/** Null where nobody can have decided anything: no service ever ran on this data. Throws RogueSmtpError `refused`. */
async function decidedLists(loaded: LoadedConfig): Promise<ListsAtRest | null> {
  const { kafka, clickhouse } = loaded.config;
  const refused = (why: string) =>
    new RogueSmtpError(
      'refused',
      `no list is made: whom people have released is not known (${why}). Ask a running instance: --url`,
    );
  try {
    const lists = await readListsAtRest(loaded, createLogger('error'));
    // Of hosts in a shared store others may have decided.
    if (lists === null && clickhouse.url !== '' && kafka.brokers.length === 0)
      throw refused('no instance answers, and the decisions are in the data directory of another machine');
    return lists;
  } catch (error) {
    if (error instanceof RogueSmtpError && error.code === 'refused') throw error;
    throw refused(messageOf(error));
  }
}
