/** `key=value` and `key="value"` as firewalls write them. */

const PAIR = /([A-Za-z][\w.-]{0,60})=(?:"((?:[^"\\]|\\.)*)"|([^\s,]*))/g;

/** The first value of each key; keys of objects (`__proto__`) are keys like others. */
export function keyValues(text: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const [, key, quoted, bare] of text.matchAll(PAIR)) {
    if (!found.has(key)) found.set(key, quoted ?? bare);
  }
  return found;
}
