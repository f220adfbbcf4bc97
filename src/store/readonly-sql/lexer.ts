/**
 * Splits a statement into tokens and writes it anew from them.
 *
 * Comments go, literals are escaped in one way, and names are quoted in one way: what the engine parses is what was checked. In doubt a
 * text is refused, also where the engine would take it (heredocs, `@`, `#`, escapes by number).
 */

export type Token =
  | { readonly kind: 'word' | 'name' | 'text' | 'number' | 'placeholder'; readonly value: string }
  | { readonly kind: 'sign'; readonly value: string };

/** The statement of these tokens: stable, that is, the same tokens come out when it is split again. */
export function renderTokens(tokens: readonly Token[]): string {
  return tokens.map(render).join(' ');
}

export function isSign(token: Token | undefined, sign: string): boolean {
  return token?.kind === 'sign' && token.value === sign;
}

/** An unquoted word in lower case; '' for anything else. */
export function wordOf(token: Token | undefined): string {
  return token?.kind === 'word' ? token.value.toLowerCase() : '';
}

/** A word or a quoted name, in lower case; '' for anything else. */
export function nameOf(token: Token | undefined): string {
  return token?.kind === 'word' || token?.kind === 'name' ? token.value.toLowerCase() : '';
}

const SPACE = /[\s\u00a0]/;
const WORD = /[A-Za-z_][A-Za-z0-9_$]*/y;
const NUMBER = /(?:0[xX][0-9A-Fa-f]+|\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+)/y;
/** `{name:Type}`: the value travels beside the statement. A type of balanced quotes, and never a name (`Identifier`). */
const PLACEHOLDER = /\{\s*[A-Za-z_]\w*\s*:\s*[A-Za-z](?:[\w,\s()]|'[\w/+-]*')*\}/y;
const SIGNS = /(?:::|->|<=>|<=|>=|!=|<>|==|\|\||[-+*/%()[\],.;=<>?:])/y;

/** Tokens of the text, or why it is refused. Other braces, heredocs, `@`, `#`, `^`, `&`, control characters have no use in reading. */
export function tokenize(sql: string): Token[] | string {
  const tokens: Token[] = [];
  let at = 0;
  const match = (pattern: RegExp): string | null => {
    pattern.lastIndex = at;
    return pattern.exec(sql)?.[0] ?? null;
  };
  while (at < sql.length) {
    const character = sql[at];
    if (SPACE.test(character)) {
      at++;
    } else if (sql.startsWith('--', at)) {
      const end = sql.indexOf('\n', at);
      at = end < 0 ? sql.length : end + 1;
    } else if (sql.startsWith('/*', at)) {
      const end = sql.indexOf('*/', at + 2);
      if (end < 0) return 'a comment is not closed';
      at = end + 2;
    } else if (character === "'" || character === '"' || character === '`') {
      const quoted = readQuoted(sql, at);
      if (quoted === null) return `a ${character} is not closed, or holds an escape that is not supported`;
      if (character !== "'" && !/^[^\\/.`"\p{Cc}]+$/u.test(quoted.value))
        return `the name ${JSON.stringify(quoted.value)} is not allowed`;
      tokens.push({ kind: character === "'" ? 'text' : 'name', value: quoted.value });
      at = quoted.next;
    } else if (character === '{') {
      const placeholder = match(PLACEHOLDER);
      if (placeholder === null || /identifier/i.test(placeholder.slice(placeholder.indexOf(':'))))
        return 'braces are allowed only as {name:Type}';
      tokens.push({ kind: 'placeholder', value: placeholder });
      at += placeholder.length;
    } else {
      const word = match(WORD);
      // After a name or a closing bracket a dot is a member access (`tuple.1`), not the start of a number.
      const member = character === '.' && isOperand(tokens.at(-1));
      const number = word === null && !member ? match(NUMBER) : null;
      const sign = word === null && number === null ? match(SIGNS) : null;
      const value = word ?? number ?? sign;
      if (value === null) return `the character ${JSON.stringify(character)} is not allowed here`;
      // `1abc` or `0x1z` would be joined differently by another reader of numbers.
      if (number !== null && /[A-Za-z0-9_]/.test(sql[at + number.length] ?? ''))
        return `"${sql.slice(at, at + number.length + 1)}..." is not a number`;
      tokens.push({ kind: word !== null ? 'word' : number !== null ? 'number' : 'sign', value });
      at += value.length;
    }
  }
  return tokens;
}

export function isOperand(token: Token | undefined): boolean {
  return token !== undefined && (token.kind !== 'sign' || token.value === ')' || token.value === ']');
}

const ESCAPES: Readonly<Record<string, string>> = {
  '\\': '\\',
  "'": "'",
  '"': '"',
  '`': '`',
  n: '\n',
  t: '\t',
  r: '\r',
  '%': '\\%',
  _: '\\_',
};

/** A quoted text or name with the usual escapes and doubled quotes. */
function readQuoted(sql: string, start: number): { value: string; next: number } | null {
  const quote = sql[start];
  let value = '';
  for (let at = start + 1; at < sql.length; at++) {
    const character = sql[at];
    if (character === '\\') {
      const escaped = ESCAPES[sql[at + 1] ?? ''];
      if (escaped === undefined) return null;
      value += escaped;
      at++;
    } else if (character !== quote) {
      value += character;
    } else if (sql[at + 1] === quote) {
      value += quote;
      at++;
    } else {
      return { value, next: at + 1 };
    }
  }
  return null;
}

function render(token: Token): string {
  if (token.kind === 'text') return `'${token.value.replace(/\\/g, '\\\\').replace(/'/g, "\\'")}'`;
  return token.kind === 'name' ? `\`${token.value}\`` : token.value;
}
