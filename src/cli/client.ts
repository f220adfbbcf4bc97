/**
 * Asks a running instance over its HTTP API.
 *
 * The address and the token come from the same configuration as the service's. Nothing here touches the data directory.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../config/schema.ts';
import { formatSocketAddress } from '../config/values.ts';
import { messageOf, RogueSmtpError } from '../errors.ts';
import type { AclRendering, IncidentReport, ReadModel, Status } from '../http/read-model.ts';
import { type Alert, alertSchema } from '../messages/alert.ts';
import type { ExporterRow, InventoryRow, OffenderRow } from '../store/queries.ts';

export interface Client extends ReadModel {
  /** True when something answers at the address. */
  isUp(): Promise<boolean>;
  /** Resolves when the service is ready; rejects with `failure` or after half a minute. */
  waitUntilReady(failure: Promise<never>): Promise<void>;
  /** Alerts as they are emitted, until the service ends or `signal` is aborted. */
  follow(signal: AbortSignal): AsyncGenerator<Alert>;
}

const READY_WAIT_MS = 60_000;

export function createClient(config: Config): Client {
  const { host, port } = config.http.listen;
  const base = `http://${formatSocketAddress({ host: host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host, port })}`;
  const headers = config.http.token === undefined ? {} : { Authorization: `Bearer ${config.http.token}` };

  async function request(path: string, init: RequestInit = {}): Promise<Response> {
    let response: Response;
    try {
      response = await fetch(base + path, { ...init, headers: { ...headers, ...init.headers } });
    } catch (error) {
      throw new RogueSmtpError('unavailable', `no running instance answers at ${base} (${causeOf(error)})`, {
        cause: error,
      });
    }
    if (response.ok) return response;
    const text = await response.text();
    throw new RogueSmtpError(
      response.status === 400 ? 'usage' : 'unavailable',
      errorText(text) ?? `${base}${path}: HTTP ${response.status}`,
    );
  }

  async function get<Value>(
    path: string,
    query: Readonly<Record<string, string | number | undefined>> = {},
  ): Promise<Value> {
    const given = new URLSearchParams();
    for (const [key, value] of Object.entries(query)) if (value !== undefined) given.set(key, String(value));
    const search = given.size === 0 ? '' : `?${given}`;
    const response = await request(path + search);
    return (await response.json()) as Value;
  }

  return {
    status: () => get<Status>('/api/v1/status'),
    offenders: () => get<OffenderRow[]>('/api/v1/offenders'),
    inventory: () => get<InventoryRow[]>('/api/v1/inventory'),
    exporters: () => get<ExporterRow[]>('/api/v1/exporters'),
    alerts: (asked) => get<Alert[]>('/api/v1/alerts', { ...asked }),
    incident: (id) => get<IncidentReport>(`/api/v1/incidents/${encodeURIComponent(id)}`),
    renderAcl: (asked) => get<AclRendering>('/api/v1/acl/render', { ...asked }),
    async query(sql, format) {
      const init = {
        method: 'POST',
        body: JSON.stringify({ sql, format }),
        headers: { 'Content-Type': 'application/json' },
      };
      return (await request('/api/v1/query', init)).text();
    },
    async isUp() {
      try {
        await request('/healthz');
        return true;
      } catch {
        return false;
      }
    },
    async waitUntilReady(failure) {
      const deadline = Date.now() + READY_WAIT_MS;
      for (let reason = ''; ; await Promise.race([sleep(100), failure])) {
        try {
          await request('/readyz');
          return;
        } catch (error) {
          reason = messageOf(error);
        }
        if (Date.now() > deadline)
          throw new RogueSmtpError('unavailable', `the service did not get ready: ${reason}`);
      }
    },
    async *follow(signal) {
      const response = await request('/events', { signal });
      if (response.body === null) return;
      let text = '';
      for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
        text += chunk;
        for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
          const alert = alertOfEvent(text.slice(0, end));
          text = text.slice(end + 2);
          if (alert !== null) yield alert;
        }
      }
    },
  };
}

/**
 * Follows alerts until `last` accepts one or `waitMs` have passed, reporting each to `onAlert`. Returns the hosts that
 * alerts were about when `last` was met; an empty set of accepted ones means it was not.
 */
export async function alertsUntil(
  client: Client,
  last: (alert: Alert) => boolean,
  waitMs: number,
  onAlert: (alert: Alert) => void,
): Promise<ReadonlySet<string>> {
  const hosts = new Set<string>();
  const stop = AbortSignal.timeout(waitMs);
  try {
    for await (const alert of client.follow(stop)) {
      onAlert(alert);
      hosts.add(alert.host);
      if (last(alert)) break;
    }
  } catch (error) {
    if (!stop.aborted) throw error;
  }
  return hosts;
}

function alertOfEvent(event: string): Alert | null {
  const data = event
    .split('\n')
    .filter((line) => line.startsWith('data:'))
    .map((line) => line.slice(5).trimStart())
    .join('\n');
  if (data === '') return null;
  const parsed = alertSchema.safeParse(JSON.parse(data));
  return parsed.success ? parsed.data : null;
}

function errorText(body: string): string | null {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === 'object' && value !== null && 'error' in value ? String(value.error) : null;
  } catch {
    return null;
  }
}

/** fetch hides the reason (ECONNREFUSED) in the cause. */
function causeOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof Error && 'code' in cause ? String(cause.code) : messageOf(error);
}
