/** Comma separated values with quotes (RFC 4180), one line at a time. */

/** The fields of a line, without their quotes. A quote that is not closed runs to the end of the line. `separator`: one character. */
export function splitCsv(line: string, separator = ','): string[] {
  if (!line.includes('"')) return line.split(separator);
  const fields: string[] = [];
  let at = 0;
  while (at <= line.length) {
    if (line[at] !== '"') {
      const comma = line.indexOf(separator, at);
      const end = comma < 0 ? line.length : comma;
      fields.push(line.slice(at, end));
      at = end + 1;
      continue;
    }
    let field = '';
    at++;
    while (at <= line.length) {
      const quote = line.indexOf('"', at);
      const end = quote < 0 ? line.length : quote;
      field += line.slice(at, end);
      at = end + 1;
      if (line[at] !== '"') break;
      field += '"';
      at++;
    }
    const comma = line.indexOf(separator, at);
    fields.push(field);
    at = comma < 0 ? line.length + 1 : comma + 1;
  }
  return fields;
}
