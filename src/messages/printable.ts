/** Text from the network or from people, made safe to show. Pure. */

/** The text without anything a terminal or a header would act on: control, format and line separating characters are `?`. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, '?');
}
