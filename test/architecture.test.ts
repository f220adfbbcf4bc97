/** The pages for newcomers name files that exist, and ARCHITECTURE.md's table of layers is what the imports are. */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const below = (folder: string, ending: string): string[] =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(ending))
    .map((name) => join(folder, name));

const PAGES = [
  ...['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'SECURITY.md'],
  ...['docs', 'deploy', 'schemas', 'test/scenarios', 'test/bench', 'test/integration', 'test/e2e'].flatMap(
    (folder) => below(folder, '.md'),
  ),
];

/** What a heading is called in a link: as GitHub makes it. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replace(/\s/g, '-');

describe('the pages', () => {
  it.each(PAGES)('%s links to files and headings that exist', (page) => {
    const broken = [...read(page).matchAll(/\]\(([^)\s]+)\)/g)]
      .map(([, link]) => link as string)
      .filter((link) => !/^[a-z]+:/.test(link))
      .filter((link) => {
        const [path = '', anchor] = link.split('#');
        const target = path === '' ? page : join(dirname(page), path);
        if (!existsSync(join(ROOT, target))) return true;
        if (anchor === undefined) return false;
        const headings = read(target).match(/^#+ .*$/gm) ?? [];
        return !headings.some((line) => anchorOf(line.replace(/^#+ /, '')) === anchor);
      });
    expect(broken).toEqual([]);
  });

  it.each(['ARCHITECTURE.md', 'CONTRIBUTING.md', 'SECURITY.md'])('%s names paths that exist', (page) => {
    const named = [...read(page).matchAll(/`((?:src|test|schemas|deploy|docs|\.ci)\/[\w./-]*)`/g)].map(
      ([, path]) => path as string,
    );
    expect(named.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
  });
});

describe('the layers', () => {
  const layers = new Map(
    [...read('ARCHITECTURE.md').matchAll(/^\| (\d) \| ([\w, -]+) \|$/gm)].flatMap(([, layer, folders]) =>
      (folders as string).split(', ').map((folder) => [folder, Number(layer)] as const),
    ),
  );

  it('name every folder of src', () => {
    const folders = readdirSync(join(ROOT, 'src'), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name);
    expect([...layers.keys()].sort()).toEqual(folders.sort());
  });

  it('hold: no import goes up, or to a neighbour', () => {
    const wrong = below('src', '.ts').flatMap((file) => {
      const [from = ''] = relative('src', file).split('/');
      return [...read(file).matchAll(/from '(\.[^']+)'/g)]
        .map(([, path]) => relative('src', join(dirname(file), path as string)).split('/'))
        .filter(([to = '', ...rest]) => rest.length > 0 && to !== from && layers.has(from))
        .filter(([to = '']) => (layers.get(to) ?? 0) >= (layers.get(from) ?? 0))
        .map((path) => `${file} -> ${path.join('/')}`);
    });
    expect(wrong).toEqual([]);
  });
});
