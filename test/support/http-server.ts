/** The HTTP server on a port of its own, with nothing behind it but what a test hands over. */

import type { ReadModel } from '../../src/api/read-model.ts';
import { RogueSmtpError } from '../../src/errors.ts';
import type { HttpListener } from '../../src/http/listener.ts';
import {
  createHttpServer,
  type HttpServerDependencies,
  type HttpServerOptions,
} from '../../src/http/server.ts';

export const EMPTY_MODEL: ReadModel = {
  status: async () => {
    throw new Error('secret detail');
  },
  offenders: async () => [],
  alerts: async () => [],
  incident: async (id) => {
    throw new RogueSmtpError('not_found', `there is no incident or host "${id}"`);
  },
  explain: async () => {
    throw new RogueSmtpError('not_found', 'nothing is known');
  },
  inventory: async () => [],
  sight: async () => ({ flows: 0, ignored: {}, strangers: [] }),
  exporters: async () => [],
  query: async () => new Uint8Array(),
  renderAcl: async (request) => ({ text: JSON.stringify(request), entries: 0, leftOut: [] }),
};

const servers: HttpListener[] = [];

/** What a test does not hand over. */
export const HTTP_DEPENDENCIES: HttpServerDependencies = {
  model: EMPTY_MODEL,
  metrics: async () => ({ text: 'up 1\n', contentType: 'text/plain' }),
  notReady: () => [],
  onAlert: () => () => undefined,
  blockedHosts: (family) => (family === '4' ? ['192.0.2.55'] : ['2001:db8:1::55']),
  heldLists: () => [],
  aclTarget: async () => 'permit ip any any\n',
  desk: null,
  reload: async () => {
    throw new RogueSmtpError('refused', 'nothing to reload');
  },
  clickhouse: (request) => new Response(`asked ${new URL(request.url).pathname}`),
  onError: () => undefined,
};

/** Its base URL. */
export async function startHttpServer(
  token?: string,
  overrides: Partial<HttpServerDependencies> = {},
  options: Partial<HttpServerOptions> = {},
): Promise<string> {
  const server = createHttpServer(
    { listen: { host: '127.0.0.1', port: 0 }, token, ...options },
    { ...HTTP_DEPENDENCIES, ...overrides },
  );
  servers.push(server);
  const { port } = await server.start();
  return `http://127.0.0.1:${port}`;
}

/** For `afterEach`. */
export async function stopHttpServers(): Promise<void> {
  for (const server of servers.splice(0)) await server.stop();
}
