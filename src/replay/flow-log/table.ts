/**
 * Lines of fields under a header that names them: where each wanted column lies, and the cutting of a line.
 *
 * One object serves all lines of a file; `starts` and `ends` hold the fields of the line cut last. A row must have as
 * many fields as the header, because a line that was cut short would otherwise read as a smaller number; only behind the
 * last column that is read may labels be missing or added.
 */

export interface Table {
  /** The line is the header (files that were put together have it several times). */
  isHeader(text: string, start: number, end: number): boolean;
  /**
   * Cuts a line; false when the number of fields is not that of the header. With the number of the last column that is
   * read, a row may end in any field behind it, or in more fields than the header names.
   */
  cut(text: string, start: number, end: number, lastRead?: number): boolean;
  /** Positions in the text of the fields of the line cut last. */
  readonly starts: Int32Array;
  readonly ends: Int32Array;
  /** The place of a column; of several names the first that the header has. -1 for none. */
  column(...names: readonly string[]): number;
}

/** Spaces around fields are not part of them; runs of a space as separator are one. */
export function createTable(names: readonly string[], separator: string): Table {
  const count = names.length;
  const starts = new Int32Array(count + 1);
  const ends = new Int32Array(count + 1);
  const first = separator.charCodeAt(0);
  const isSpace = separator === ' ';

  return {
    starts,
    ends,
    isHeader(text, start, end) {
      if (!text.startsWith(names[0], start) || start + names[0].length > end) return false;
      const fields = text.slice(start, end).split(separator);
      return (
        count > 1 && fields.length >= 2 && fields[0].trim() === names[0] && fields[1].trim() === names[1]
      );
    },
    cut(text, start, end, lastRead = count - 1) {
      let field = 0;
      let at = start;
      starts[0] = start;
      while (at < end) {
        if (text.charCodeAt(at) !== first || (separator.length > 1 && !text.startsWith(separator, at))) {
          at++;
          continue;
        }
        if (isSpace && at === starts[field]) {
          starts[field] = ++at;
          continue;
        }
        if (field === count) {
          if (lastRead === count - 1) return false;
          break;
        }
        ends[field++] = at;
        at += separator.length;
        starts[field] = at;
      }
      // A space at the end separates nothing.
      if (!isSpace || starts[field] < end) ends[field++] = end;
      // What was cut short may be the last field that is there, so that another must follow what is read.
      if (field !== count && (lastRead === count - 1 || field <= lastRead + 1)) return false;
      for (let i = 0; i < count; i++) {
        while (starts[i] < ends[i] && text.charCodeAt(starts[i]) === 32) starts[i]++;
        while (ends[i] > starts[i] && text.charCodeAt(ends[i] - 1) === 32) ends[i]--;
      }
      return true;
    },
    column(...wanted) {
      for (const name of wanted) {
        const at = names.indexOf(name);
        if (at >= 0) return at;
      }
      return -1;
    },
  };
}
