/** docs/configuration.md: the reference as a page, one table a section. Pure. */

import { configReference, type KeyReference } from './reference.ts';

const HEAD = `# Configuration reference

This page is generated from the schema (\`npm run schemas\`): change src/config/schema.ts and src/config/key-words.ts, not this file.

\`rogue-smtp init\` writes a configuration with comments, \`rogue-smtp check\` explains mistakes, and editors with a YAML language server
complete keys with the first line \`# yaml-language-server: $schema=schemas/config.schema.json\`. Every key has a default but those
marked as required. Environment variables go over the file: \`ROGUE_SMTP__BLOCK__MODE=publish\` is \`block.mode\`. Durations are
written as \`250ms\`, \`30s\`, \`10m\`, \`24h\` or \`7d\`, sizes as \`64MiB\` or \`4GiB\`. \`[]\` in a key stands for any entry of the list.
`;

export function referencePage(keys: readonly KeyReference[] = configReference()): string {
  const sections = new Map<string, KeyReference[]>();
  for (const key of keys) {
    const section = /^[^.[]+/.exec(key.path)?.[0] ?? key.path;
    sections.set(section, [...(sections.get(section) ?? []), key]);
  }
  const parts = [...sections].map(([section, all]) => {
    const [first, ...rest] = all;
    const own = first.isSection || rest.length > 0 ? `${first.words?.text ?? ''}\n\n` : '';
    const example =
      rest.length > 0 && first.words?.example !== undefined ? exampleOf(section, first.words.example) : '';
    const rows = first.isSection || rest.length > 0 ? rest : all;
    return `\n## ${section}\n\n${own}${example}| key | default | meaning | may be |\n|---|---|---|---|\n${rows.map(rowOf).join('')}`;
  });
  return HEAD + parts.join('');
}

const exampleOf = (key: string, example: string) => `    ${key}: ${example}\n\n`;

function rowOf({ path, words, default: value, required, type, isSection }: KeyReference): string {
  const byDefault = required ? 'required' : value === null ? (isSection ? '' : 'absent') : `\`${value}\``;
  const unit = words?.unit === undefined || words.unit === 'number' ? '' : ` (${words.unit})`;
  const name = /[^.]+$/.exec(path)?.[0] ?? path;
  const example =
    words?.example === undefined || words.example === value ? '' : ` Example: \`${name}: ${words.example}\``;
  return `| \`${path}\` | ${byDefault} | ${cell(`${words?.text ?? ''}${example}`)} | ${isSection ? '' : cell(type + unit)} |\n`;
}

/** A vertical bar would end the cell. */
const cell = (text: string) => text.replaceAll('|', '\\|');
