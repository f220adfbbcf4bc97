/**
 * The page's files as `npm run build` left them, served from memory with headers that let nothing in from outside.
 *
 * Files under `assets/` have a digest in their names and never change; `index.html` answers for every place of the page.
 * They hold no data, so that they need no token. Only files that were there at the start are served: a path is never one of the disk.
 */

import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { extname, join, relative, sep } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { Context } from 'hono';

interface WebFile {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly type: string;
  readonly tag: string;
  readonly lasting: boolean;
}

export interface WebFiles {
  /** A file, or a place of the page. */
  has(path: string): boolean;
  /** A place of the page itself, where a link from anywhere may lead. */
  isPage(path: string): boolean;
  answer(context: Context): Promise<Response>;
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
  '.json': 'application/json',
  '.webmanifest': 'application/manifest+json',
  '.txt': 'text/plain; charset=utf-8',
};

/** First parts of the places that the page draws. A path of another route is never one of them. */
const PLACES = new Set([
  '',
  'host',
  'hosts',
  'explore',
  'inventory',
  'blocks',
  'coverage',
  'health',
  'wall',
  'login',
]);

/** Scripts, styles and connections of this server only; no frame around it; nothing inline. */
const PAGE_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const compress = promisify(gzip);
const MIN_COMPRESSED_BYTES = 1024;

/** Null where the page was not built. */
export function readWebFiles(directory: string): WebFiles | null {
  let names: string[];
  try {
    names = readdirSync(directory, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => relative(directory, join(entry.parentPath, entry.name)));
  } catch {
    return null;
  }
  const files = new Map<string, WebFile>();
  for (const name of names) {
    const type = TYPES[extname(name)];
    if (type === undefined) continue;
    const bytes = new Uint8Array(readFileSync(join(directory, name)));
    const tag = createHash('sha256').update(bytes).digest('hex');
    const path = `/${name.split(sep).join('/')}`;
    files.set(path, { bytes, type, tag, lasting: path.startsWith('/assets/') });
  }
  const index = files.get('/index.html');
  if (index === undefined) return null;
  const compressed = new Map<WebFile, Promise<Uint8Array<ArrayBuffer>>>();

  const isPage = (path: string): boolean => PLACES.has(path.split('/')[1] ?? '');
  const fileOf = (path: string): WebFile | undefined => files.get(path) ?? (isPage(path) ? index : undefined);

  function compressedOnce(file: WebFile): Promise<Uint8Array<ArrayBuffer>> {
    const known = compressed.get(file);
    if (known !== undefined) return known;
    const made = compress(file.bytes).then((bytes) => new Uint8Array(bytes));
    compressed.set(file, made);
    return made;
  }

  return {
    has: (path) => fileOf(path) !== undefined,
    isPage,
    async answer(context) {
      const file = fileOf(context.req.path) ?? index;
      const wantsGzip =
        file.bytes.length >= MIN_COMPRESSED_BYTES &&
        !file.type.startsWith('image/png') &&
        /\bgzip\b/.test(context.req.header('accept-encoding') ?? '');
      const tag = `"${file.tag}${wantsGzip ? '-gzip' : ''}"`;
      const headers: Record<string, string> = {
        'Content-Type': file.type,
        ETag: tag,
        Vary: 'Accept-Encoding',
        'Cache-Control': file.lasting ? 'public, max-age=31536000, immutable' : 'no-cache',
        'Content-Security-Policy': PAGE_POLICY,
        ...(wantsGzip ? { 'Content-Encoding': 'gzip' } : {}),
      };
      if (context.req.header('if-none-match') === tag) return context.body(null, 304, headers);
      return context.body(wantsGzip ? await compressedOnce(file) : file.bytes, 200, headers);
    },
  };
}
