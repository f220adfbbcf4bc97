/** Two layouts of one template: records of one read with the other accuse the wrong host. */

import { type Field, TUPLE, tuple } from './datagrams.ts';

/** As TUPLE with source and destination exchanged. */
export const EXCHANGED: readonly Field[] = [[12, 4], [8, 4], ...TUPLE.slice(2)];
export const ROGUE = '10.0.0.66';
const SERVER = '198.51.100.25';
export const RECORD = tuple(ROGUE, SERVER);
export const EXCHANGED_RECORD = tuple(SERVER, ROGUE);
