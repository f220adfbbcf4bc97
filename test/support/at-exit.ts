/** What must not outlive this process, whether a test fails half-way or an error is one that no test sees. */

const ends = new Set<() => void>();

process.once('exit', () => {
  for (const end of ends) end();
});

/** Has `end` called when the process exits, unless the function that is returned was called before. */
export function atExit(end: () => void): () => void {
  ends.add(end);
  return () => ends.delete(end);
}
