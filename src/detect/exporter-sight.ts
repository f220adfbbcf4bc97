/** From the decoder's account of an exporter to what the watch over coverage looks at. */

import { unreadFlows, unreadReasons } from '../decode/packet/walk.ts';
import type { ExporterState } from '../decode/types.ts';
import { formatAddress } from '../flow/address.ts';
import type { ExporterSight } from './coverage.ts';

/** Received units are those that the version's sequence counts: see ExporterState.sequenceLost. */
export function exporterSight(state: ExporterState): ExporterSight {
  const { counting } = state;
  const countsFlows = counting !== null && counting !== 'datagrams' && counting !== 'nothing';
  return {
    address: formatAddress(state.address),
    ...(state.agent !== null && { agent: formatAddress(state.agent) }),
    domain: state.domain,
    lastSeenMs: state.lastSeenMs,
    lost: state.sequenceLost,
    unknown: state.sequenceUnknown,
    received: countsFlows ? state.flows : state.datagrams,
    datagrams: state.datagrams,
    reordered: state.sequenceReordered,
    flows: state.flows,
    unread: unreadFlows(state),
    unreadReasons: unreadReasons(state),
    templatesRedefined: state.templatesRedefined,
  };
}
