/**
 * A ClickHouse server that fails as a test tells it to: it answers with any code, dies before or after the work, hangs, or
 * cuts its answer. It keeps the rows of inserts, each token once, as a table with a deduplication window does, and
 * it refuses blocks that it cannot read.
 *
 * It understands no SQL: `answers` says what comes back for a statement. Profiles with `readonly` are kept as a server
 * keeps them: 1 refuses every setting, 2 a change of `readonly`; both refuse to write.
 */

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { gunzipSync } from 'node:zlib';
import { readWide } from '../../src/flow/batch.ts';
import { decodeNative } from '../../src/flow/native.ts';

/** What happens to a request. */
export type Fate =
  /** It is done. */
  | null
  /** An exception of this code, before anything was done, or after it was. */
  | { readonly code: number; readonly name?: string; readonly done?: boolean }
  /** The connection breaks before the work, or after it without an answer. */
  | 'die'
  | 'die_after'
  /** No answer ever comes; in the second case the work was done. */
  | 'hang'
  | 'hang_after'
  /** It is done, and the answer breaks off in the middle, or stands still there. */
  | 'cut'
  | 'stall';

interface FakeRequest {
  readonly statement: string;
  readonly params: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly path: string;
  /** The client closed the connection before an answer. */
  left: boolean;
}

export interface FakeClickHouse {
  readonly url: string;
  readonly requests: FakeRequest[];
  /** Identities of stored rows by table: of a flow its receive time and sequence, of JSON its text. */
  readonly rows: ReadonlyMap<string, readonly string[]>;
  fate: (request: FakeRequest) => Fate;
  /** The text of an answer; undefined: an empty result. */
  answers: (statement: string) => string | undefined;
  /** `readonly` of the user's profile. */
  profile: 0 | 1 | 2;
  version: string;
  stop(): Promise<void>;
}

/** Parameters of the HTTP interface that are no settings. */
const NO_SETTINGS =
  /^(query|query_id|database|default_format|wait_end_of_query|buffer_size|role|session_id|param_.*)$/;
const INSERT = /^INSERT INTO `?\w+`?\.`?(\w+)`?.*FORMAT (Native|JSONEachRow)\s*$/s;

class Refusal extends Error {
  readonly code: number;
  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

export async function startFakeClickHouse(): Promise<FakeClickHouse> {
  const rows = new Map<string, string[]>();
  const tokens = new Set<string>();
  const server = createServer((request, response) => void handle(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the fake server has no port');

  const fake: FakeClickHouse = {
    url: `http://127.0.0.1:${address.port}`,
    requests: [],
    rows,
    fate: () => null,
    answers: () => undefined,
    profile: 0,
    version: '26.7.2.1',
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };

  async function handle(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of incoming) chunks.push(chunk);
    } catch {
      return;
    }
    const { pathname: path, searchParams: params } = new URL(incoming.url ?? '/', fake.url);
    const inUrl = params.get('query');
    const sent = Buffer.concat(chunks);
    const body = incoming.headers['content-encoding'] === 'gzip' ? gunzipSync(sent) : sent;
    const statement = inUrl ?? body.toString();
    const request: FakeRequest = { statement, params, headers: incoming.headers, path, left: false };
    fake.requests.push(request);
    response.once('close', () => {
      request.left = !response.writableFinished;
    });
    const fate = fake.fate(request);
    if (fate === 'die') return void response.destroy();
    if (fate === 'hang') return;
    if (typeof fate === 'object' && fate !== null && fate.done !== true)
      return refuse(response, fate.code, fate.name ?? 'TOLD_SO');
    let answer: string;
    try {
      answer = work(statement, params, inUrl === null ? Buffer.alloc(0) : body);
    } catch (error) {
      if (error instanceof Refusal) return refuse(response, error.code, error.message);
      throw error;
    }
    if (fate === 'die_after') return void response.destroy();
    if (fate === 'hang_after') return;
    if (fate === 'cut' || fate === 'stall') {
      response.writeHead(200, { 'Content-Length': String(answer.length + 100) });
      const beginning = answer.slice(0, Math.ceil(answer.length / 2));
      response.write(beginning, () => fate === 'cut' && response.destroy());
      return;
    }
    if (fate !== null) return refuse(response, fate.code, fate.name ?? 'TOLD_SO');
    response.end(answer);
  }

  function work(statement: string, params: URLSearchParams, body: Buffer): string {
    checkProfile(statement, params);
    const insert = INSERT.exec(statement);
    if (insert !== null) {
      const [, table, format] = insert;
      const found = format === 'Native' ? flowsOf(body) : body.toString().split('\n');
      const token = `${table} ${params.get('insert_deduplication_token')}`;
      if (!tokens.has(token)) rows.set(table, [...(rows.get(table) ?? []), ...found]);
      tokens.add(token);
      return '';
    }
    const told = fake.answers(statement);
    if (told !== undefined) return told;
    if (/getSetting\('readonly'\)/.test(statement)) return `${fake.version}\t${fake.profile}\n`;
    if (/^SELECT 1\b/.test(statement)) return '1\n';
    return /FORMAT JSONCompact\s*$/.test(statement) ? '{"meta":[],"data":[]}' : '';
  }

  function checkProfile(statement: string, params: URLSearchParams): void {
    if (fake.profile === 0) return;
    for (const name of params.keys()) {
      if (NO_SETTINGS.test(name) || (fake.profile === 2 && name !== 'readonly')) continue;
      throw new Refusal(164, `Cannot modify '${name}' setting in readonly mode`);
    }
    if (/^(INSERT|CREATE|ALTER)/.test(statement))
      throw new Refusal(164, 'Cannot execute query in readonly mode');
  }

  return fake;
}

function flowsOf(body: Buffer): string[] {
  const found: string[] = [];
  for (let offset = 0; offset < body.length; ) {
    const block = decodeNative(body, offset);
    if (!block.ok) throw new Refusal(33, `Cannot read all data: ${block.reason}`);
    const { columns, length } = block.batch;
    for (let row = 0; row < length; row++)
      found.push(`${readWide(columns.received_at, row)}/${columns.sequence[row]}`);
    offset = block.next;
  }
  return found;
}

function refuse(response: ServerResponse, code: number, message: string): void {
  response.writeHead(500, { 'X-ClickHouse-Exception-Code': String(code) });
  const name = /^[A-Z_]+$/.test(message) ? message : 'TOLD_SO';
  response.end(`Code: ${code}. DB::Exception: ${message} (${name}) (version 26.7.2.1)`);
}
