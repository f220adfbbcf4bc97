/**
 * What `load replace` of Junos does with our text in hierarchical form.
 *
 * A statement with `replace:` takes the place of the one that was there; one without is added to it. So the filter and its
 * list must carry the tag, and nothing that holds more than ours may.
 */

import { bind, emptyJunos, type JunosConfig, judgeJunos, readFrom, readThen, termOf } from './junos.ts';
import { type Judge, once, REMARK } from './rules.ts';

interface Statement {
  readonly text: string;
  readonly replaces: boolean;
  /** Null for a statement that ends in a semicolon. */
  readonly within: Statement[] | null;
}

export function readJunosHierarchical(text: string): Judge {
  const config = emptyJunos();
  for (const part of readStatements(text)) {
    if (part.text === 'policy-options') for (const one of path(part)) readList(config, one);
    else if (part.text === 'firewall')
      for (const family of path(part)) for (const one of path(family)) readFilter(config, family.text, one);
    else if (part.text === 'interfaces') for (const one of path(part)) readInterface(config, one);
    else throw new Error(`not of this list: ${part.text}`);
  }
  return judgeJunos(config);
}

function readStatements(text: string): readonly Statement[] {
  if (!text.endsWith('\n')) throw new Error('the last line has no end');
  const root: Statement = { text: '', replaces: false, within: [] };
  const open: Statement[] = [root];
  let replaces = false;
  let annotated = false;
  const add = (words: string, within: Statement[] | null) => {
    const one = { text: words, replaces, within };
    open.at(-1)?.within?.push(one);
    replaces = false;
    annotated = false;
    return one;
  };
  for (const line of text.slice(0, -1).split('\n')) {
    if (/^##( |$)/.test(line)) continue;
    const words = line.trimStart();
    const depth = words === '}' ? open.length - 2 : open.length - 1;
    if (line !== `${' '.repeat(depth * 4)}${words}`) throw new Error(`not indented as Junos does: ${line}`);
    if (words === '}') {
      if (depth < 0 || replaces || annotated || open.at(-1)?.within?.length === 0)
        throw new Error('a brace that closes nothing');
      open.pop();
    } else if (words === 'replace:') {
      if (replaces) throw new Error('tagged twice');
      replaces = true;
    } else if (new RegExp(`^/\\* ${REMARK} \\*/$`).test(words)) {
      if (annotated) throw new Error('annotated twice');
      annotated = true;
    } else {
      const match = /^([A-Za-z0-9][A-Za-z0-9 ._:/-]*?)( \{|;)$/.exec(words);
      if (match === null) throw new Error(`not a line of this platform: ${line}`);
      const one = add(match[1], match[2] === ';' ? null : []);
      if (one.within !== null) open.push(one);
    }
  }
  if (open.length !== 1 || replaces || annotated) throw new Error('the text ends too early');
  return root.within ?? [];
}

const within = ({ text, within: inner }: Statement): readonly Statement[] => {
  if (inner === null) throw new Error(`nothing is in ${text}`);
  return inner;
};

/** What is on the way to ours: others live there. */
function path(statement: Statement): readonly Statement[] {
  if (statement.replaces) throw new Error(`${statement.text} of others would be taken away`);
  return within(statement);
}

/** Ours as a whole. */
function named(statement: Statement, form: RegExp): string {
  const name = form.exec(statement.text)?.[1];
  if (name === undefined) throw new Error(`not of this list: ${statement.text}`);
  if (!statement.replaces) throw new Error(`what was in ${name} before would stay`);
  return name;
}

function words(statement: Statement): string {
  if (statement.within !== null || statement.replaces) throw new Error(`not a value: ${statement.text}`);
  return statement.text;
}

function readList({ lists }: JunosConfig, statement: Statement): void {
  const name = named(statement, /^prefix-list (\S{1,64})$/);
  const members = (statement.within ?? []).map(words);
  if (!members.every((one) => /^\S+\/\d+$/.test(one))) throw new Error('a member without its length');
  // One without members is there, but a term that asks for it would mean everybody on some platforms.
  if (members.length > 0) once(lists, name, members);
}

function readFilter(config: JunosConfig, family: string, statement: Statement): void {
  const word = /^family (inet6?)$/.exec(family)?.[1];
  if (word === undefined) throw new Error(`not a family: ${family}`);
  const name = named(statement, /^filter ([A-Za-z0-9_-]{1,64})$/);
  for (const one of within(statement)) {
    const termName = /^term (\S{1,64})$/.exec(one.text)?.[1];
    if (termName === undefined || one.replaces) throw new Error(`not a term: ${one.text}`);
    if (config.filters.get(name)?.terms.has(termName)) throw new Error(`twice: ${termName}`);
    const { term, family: digit } = termOf(config, word, name, termName);
    for (const part of within(one)) {
      if (part.replaces) throw new Error(`tagged: ${part.text}`);
      if (part.text === 'from')
        for (const condition of within(part))
          if (condition.within === null) {
            if (/^(source|destination)-(address|prefix-list)/.test(condition.text))
              throw new Error(`not in braces: ${condition.text}`);
            readFrom(term, words(condition), digit);
          } else
            for (const value of condition.within) readFrom(term, `${condition.text} ${words(value)}`, digit);
      else if (part.text === 'then') for (const action of within(part)) readThen(term, words(action));
      else if (part.text.startsWith('then ')) readThen(term, words(part).slice(5));
      else throw new Error(`not of a term: ${part.text}`);
    }
  }
}

function readInterface(config: JunosConfig, face: Statement): void {
  for (const unit of path(face))
    for (const family of path(unit))
      for (const filter of path(family)) {
        if (filter.text !== 'filter') throw new Error(`not of this list: ${filter.text}`);
        for (const input of path(filter)) {
          const [, digits] = /^unit (\d+)$/.exec(unit.text) ?? [];
          const [, word] = /^family (inet6?)$/.exec(family.text) ?? [];
          const [, name] = /^input (\S+)$/.exec(words(input)) ?? [];
          if (digits === undefined || word === undefined || name === undefined)
            throw new Error(`not a binding: ${unit.text}, ${family.text}, ${input.text}`);
          bind(config, face.text, digits, word, name);
        }
      }
}
