/**
 * Text of people and of flows on its way into a router's configuration.
 *
 * A newline there is an injected command, a quote ends a comment, and some devices refuse what is not ASCII. So only a
 * few harmless characters pass, whatever the text was; nothing else may put free text into an access list.
 */

/** The shortest limit of the platforms we write for, with room for what they add. */
const MAX_REMARK = 100;

/** Letters, digits, blank and `._:/,-`, at most 100 characters, no blanks at the ends. */
export function sanitiseRemark(text: string): string {
  return text
    .normalize('NFKD')
    .replace(/\p{M}+/gu, '')
    .replace(/[^A-Za-z0-9._:/,-]+/g, ' ')
    .trim()
    .slice(0, MAX_REMARK)
    .trimEnd();
}
