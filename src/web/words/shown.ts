/**
 * Text from outside, made fit to be read: host names, reasons, site and exporter names.
 *
 * Everything is shown as text nodes, so markup cannot arise; what is left is text that lies about itself. Control and
 * format characters (bidi overrides, zero-width characters, line separators) are written out as their code points, and
 * very long text is cut with its length beside it.
 */

/** More than any address or host name; 253 characters is the most that DNS allows. */
const MAX_SHOWN = 260;

/** Cc, Cf, line and paragraph separators, lone surrogates, and private use, which fonts draw as anything. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}]/gu;
/** A joiner inside an emoji is what makes it one sign; it cannot turn text around. */
const JOINED_EMOJI = /(?<=\p{Extended_Pictographic}\ufe0f?)\u200d(?=\p{Extended_Pictographic})/u;

const codePoint = (sign: string): string =>
  `\\u{${(sign.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}}`;

/** The text with every character that cannot be seen written out; cut after `most` characters. */
export function shown(text: string, most = MAX_SHOWN): string {
  // Cut first: escaping ten kilobytes for a cell of a table would be waste.
  const cut = text.length > most ? text.slice(0, most).replace(/[\ud800-\udbff]$/, '') : text;
  const visible = cut
    .split(new RegExp(JOINED_EMOJI, 'u'))
    .map((part) => part.replace(UNSEEN, codePoint))
    .join('\u200d');
  return text.length > most ? `${visible}… (${text.length.toLocaleString('en')} characters)` : visible;
}

/** More than the widest line of any list. */
const MAX_LINE = 5000;

/** The same for text of several lines, whose tabs and ends of lines are meant. */
export const shownLines = (text: string): string =>
  text
    .split('\n')
    .map((line) =>
      line
        .split('\t')
        .map((part) => shown(part, MAX_LINE))
        .join('\t'),
    )
    .join('\n');
