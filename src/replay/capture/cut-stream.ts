/** A compressed file ends before its content does. */
export class CutStream extends Error {
  constructor() {
    super('the compressed file ends before its content does');
  }
}
