/** EVE events with a packet and its payload stay below; a longer line is damage. */
export const MAX_LINE_BYTES = 1_048_576;
