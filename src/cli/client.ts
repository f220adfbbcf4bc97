/**
 * Asks a running instance over its HTTP API.
 *
 * The address and the token come from the same configuration as the service's. Nothing here touches the data directory.
 */

import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Explanation } from '../api/explain.ts';
import type {
  CanaryResult,
  IncidentReport,
  OffenderRow,
  PolicyStatus,
  ReadModel,
  Status,
} from '../api/read-model.ts';
import type { LoadedConfig } from '../config/load.ts';
import { formatSocketAddress } from '../config/values.ts';
import type { MailSight } from '../detect/mail-sight.ts';
import { causeOf, type ErrorCode, messageOf, RogueSmtpError } from '../errors.ts';
import { INSTANCE_HEADER, readInstanceId } from '../files/instance-id.ts';
import { type Alert, alertSchema } from '../messages/alert.ts';
import type { AclDesk, AclOverview, AuditEntry } from '../publish/desk.ts';
import type { ExporterRow, InventoryRow } from '../store/queries.ts';
import { firstOf, settled } from '../waiting.ts';

export interface Client extends ReadModel {
  readonly acl: AclDesk;
  /** Has the instance read its configuration again; `force`: what the file loses is meant. */
  reload(force: boolean): Promise<PolicyStatus>;
  /** Has the instance send a canary. Throws RogueSmtpError `refused` where it cannot. */
  canary(): Promise<CanaryResult>;
  /** Stops the repetition of notifications about an incident. Throws RogueSmtpError `not_found` where none is repeated. */
  acknowledge(incident: string): Promise<void>;
  /** True when something answers at the address. */
  isUp(): Promise<boolean>;
  /** What keeps it from being ready, in its words; null when nothing does. */
  notReady(): Promise<string | null>;
  /** Resolves when the service is ready; rejects with `failure` or after half a minute. */
  waitUntilReady(failure: Promise<never>): Promise<void>;
  /**
   * Alerts as they are emitted. Resolves when the service has begun to send them, so that whatever is emitted from then
   * on comes; ends when the service ends. Throws RogueSmtpError `unavailable` when the connection breaks.
   */
  follow(signal: AbortSignal): Promise<AsyncGenerator<Alert>>;
}

const READY_WAIT_MS = 60_000;
const READY_RETRY_MS = 100;
/** A service that does not answer this question so fast is stuck. */
const HEALTH_WAIT_MS = 5000;

/** What /healthz of ours says; another program at the address says something else. */
const HEALTHY = 'ok\n';

interface WireRendering {
  readonly text: string;
  readonly entries: number;
  readonly left_out: readonly { readonly host: string; readonly reason: string }[];
}

/** A client of the instance of this configuration. Throws RogueSmtpError `unavailable` where none answers. */
export async function runningClient(loaded: LoadedConfig): Promise<Client> {
  const client = createClient(loaded);
  if (await client.isUp()) return client;
  throw new RogueSmtpError('unavailable', 'no running instance answers; start one with: rogue-smtp run');
}

/** Asks the instance of the configuration, or the one that was chosen by `--url`. */
export function createClient({ config, instance }: Pick<LoadedConfig, 'config' | 'instance'>): Client {
  const { host, port } = config.http.listen;
  const own = `${config.http.tls === undefined ? 'http' : 'https'}://${formatSocketAddress({ host: host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host, port })}`;
  const base = instance?.url ?? own;
  const token = instance === undefined ? ownToken(config.http) : instance.token;
  const headers = token === undefined ? {} : { Authorization: `Bearer ${token}` };

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
    if (response.status === 401) {
      throw new RogueSmtpError(
        'unavailable',
        `the instance at ${base} wants ${token === undefined ? 'a' : 'another'} token: ${instance === undefined ? 'set http.token, http.token_file or ROGUE_SMTP__HTTP__TOKEN as it has it' : 'give it by --token-file'}`,
      );
    }
    const text = await response.text();
    throw new RogueSmtpError(
      CODE_OF_STATUS[response.status] ?? 'unavailable',
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

  async function post<Value>(path: string, body: object): Promise<Value> {
    const response = await request(path, {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { 'Content-Type': 'application/json' },
    });
    return (await response.json()) as Value;
  }

  /** A decision; one line of what came of it a host or list. */
  async function act(path: string, body: object): Promise<readonly string[]> {
    return (await post<{ readonly done: readonly string[] }>(`/api/v1/acl/${path}`, body)).done;
  }

  async function textOf(path: string, query: Record<string, string | undefined>): Promise<string> {
    const given = new URLSearchParams();
    for (const [name, value] of Object.entries(query)) if (value !== undefined) given.set(name, value);
    return (await request(`${path}?${given}`)).text();
  }

  const acl: AclDesk = {
    overview: () => get<AclOverview>('/api/v1/acl'),
    diff: (target) => textOf('/api/v1/acl/diff', { target }),
    rollbackDiff: (choice) => textOf('/api/v1/acl/rollback', { ...choice }),
    log: (limit) => get<AuditEntry[]>('/api/v1/acl/log', { limit }),
    approve: (asked) => act('approve', { ...asked, all: asked.hosts.length === 0 }),
    reject: (asked) => act('reject', asked),
    release: ({ forMs, ...asked }) => act('release', { ...asked, for: `${forMs}ms` }),
    block: ({ forMs, ...asked }) => act('block', { ...asked, for: `${forMs}ms` }),
    rollback: (asked) => act('rollback', asked),
    forgetLost: (asked) => act('forget-lost', asked),
    follow: (asked) => act('follow', asked),
  };

  /** Throws where the instance at the address works on other data than the configuration says. */
  async function assertOwn(id: string | null): Promise<void> {
    if (id === null) return;
    const ours = await readInstanceId(config.data);
    if (ours.state === 'hidden' || (ours.state === 'known' && ours.id === id)) return;
    const data = resolve(config.data);
    throw new RogueSmtpError(
      'unavailable',
      `the instance at ${base} is not that of this configuration: its data are not in ${data}${ours.state === 'absent' ? ', where no instance was started yet' : ''}. ` +
        `Give the configuration of that instance (--config), or ask it all the same: --url ${base}`,
    );
  }

  async function askUntilReady(signal: AbortSignal): Promise<void> {
    const deadline = Date.now() + READY_WAIT_MS;
    while (!signal.aborted) {
      try {
        await request('/readyz');
        return;
      } catch (error) {
        if (Date.now() > deadline)
          throw new RogueSmtpError('unavailable', `the service did not get ready: ${messageOf(error)}`);
      }
      await sleep(READY_RETRY_MS);
    }
  }

  return {
    acl,
    reload: (force) => post<PolicyStatus>('/api/v1/reload', { force }),
    canary: () => post<CanaryResult>('/api/v1/canary', {}),
    acknowledge: async (incident) => void (await post('/api/v1/notify/ack', { incident })),
    status: () => get<Status>('/api/v1/status'),
    offenders: () => get<OffenderRow[]>('/api/v1/offenders'),
    inventory: () => get<InventoryRow[]>('/api/v1/inventory'),
    exporters: () => get<ExporterRow[]>('/api/v1/exporters'),
    sight: () => get<MailSight>('/api/v1/sight'),
    alerts: (asked) => get<Alert[]>('/api/v1/alerts', { ...asked }),
    incident: (id) => get<IncidentReport>(`/api/v1/incidents/${encodeURIComponent(id)}`),
    explain: (host) => get<Explanation>(`/api/v1/explain/${encodeURIComponent(host)}`),
    async renderAcl(asked) {
      const { text, entries, left_out } = await get<WireRendering>('/api/v1/acl/render', { ...asked });
      return { text, entries, leftOut: left_out };
    },
    async query({ sql, format }) {
      const path = `/clickhouse?${new URLSearchParams({ default_format: format })}`;
      return new Uint8Array(await (await request(path, { method: 'POST', body: sql })).arrayBuffer());
    },
    async isUp() {
      let id: string | null;
      try {
        const response = await request('/healthz', { signal: AbortSignal.timeout(HEALTH_WAIT_MS) });
        if ((await response.text()) !== HEALTHY)
          throw new RogueSmtpError('unavailable', `${base} is another program`);
        id = response.headers.get(INSTANCE_HEADER);
      } catch (error) {
        // Whoever chose an instance does not want to hear of another one, or of data on this machine.
        if (instance !== undefined) throw error;
        return false;
      }
      if (instance === undefined) await assertOwn(id);
      return true;
    },
    async notReady() {
      try {
        await request('/readyz', { signal: AbortSignal.timeout(HEALTH_WAIT_MS) });
        return null;
      } catch (error) {
        return messageOf(error);
      }
    },
    async waitUntilReady(failure) {
      const over = new AbortController();
      try {
        await firstOf<void>(settled<void>(failure), settled(askUntilReady(over.signal)));
      } finally {
        over.abort();
      }
    },
    async follow(signal) {
      const { body } = await request('/events', { signal });
      if (body === null) throw new RogueSmtpError('unavailable', `${base}/events: no answer`);
      const chunks = body.pipeThrough(new TextDecoderStream()).getReader();
      // The first thing it says is that it is listening.
      const first = await nextOf(chunks);
      return alertsOf(chunks, first ?? '');
    },
  };
}

/** Without the shared token, one that may do everything. */
const ownToken = ({ token, tokens }: LoadedConfig['config']['http']): string | undefined =>
  token ?? tokens.find(({ role }) => role === 'admin')?.token;

const CODE_OF_STATUS: Readonly<Record<number, ErrorCode>> = {
  400: 'usage',
  404: 'not_found',
  409: 'refused',
};

type TextReader = ReadableStreamDefaultReader<string>;

/** Null at the end. */
async function nextOf(chunks: TextReader): Promise<string | null> {
  try {
    const { done, value } = await chunks.read();
    return done ? null : value;
  } catch (error) {
    if (error instanceof Error && (error.name === 'AbortError' || error.name === 'TimeoutError')) throw error;
    throw new RogueSmtpError('unavailable', 'the connection to the service broke', { cause: error });
  }
}

async function* alertsOf(chunks: TextReader, first: string): AsyncGenerator<Alert> {
  let text = first;
  try {
    for (;;) {
      for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
        const alert = alertOfEvent(text.slice(0, end));
        text = text.slice(end + 2);
        if (alert !== null) yield alert;
      }
      const chunk = await nextOf(chunks);
      if (chunk === null) return;
      text += chunk;
    }
  } finally {
    await chunks.cancel().catch(() => undefined);
  }
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

/** Begins the answer of /readyz of a service that is not. */
const NOT_READY = 'not ready: ';

/** Of our JSON, of /readyz, or of a ClickHouse exception without what is for programs. */
function errorText(body: string): string | null {
  if (body.startsWith(NOT_READY)) return body.trimEnd();
  const exception = /^Code: \d+\. DB::Exception: (.*) \(\w*\)\s*$/s.exec(body);
  if (exception !== null) return exception[1];
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === 'object' && value !== null && 'error' in value ? String(value.error) : null;
  } catch {
    return null;
  }
}
