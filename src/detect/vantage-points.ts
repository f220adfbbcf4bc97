/**
 * Who saw a flow: exporter, observation domain, version and direction as one small number.
 *
 * Records of one vantage point about one session are parts of it and add up; those of different vantage points are
 * views of the same packets, of which the largest counts. Bounded: beyond the bound all share one number, which can
 * make a session look larger (sum instead of maximum), so the bound lies far over what a network has.
 */

import { formatAddress } from '../flow/address.ts';
import type { FlowColumns } from '../flow/batch.ts';

const MAX_VANTAGE_POINTS = 65_536;

interface VantagePoint {
  readonly address: string;
  readonly domain: number;
}

export interface VantagePoints {
  /** The number of the vantage point of a row. */
  of(columns: FlowColumns, row: number): number;
  get(id: number): VantagePoint;
}

export function createVantagePoints(): VantagePoints {
  const ids = new Map<string, number>();
  const points: VantagePoint[] = [];
  const lastAddress = new Uint8Array(16);
  let lastDomain = -1;
  let lastKind = -1;
  let lastId = 0;

  return {
    of(columns, row) {
      const domain = columns.domain[row];
      const kind = (columns.version[row] << 8) | columns.direction[row];
      const { exporter } = columns;
      const at = 16 * row;
      if (domain === lastDomain && kind === lastKind) {
        let same = true;
        for (let i = 0; i < 16; i++) {
          if (exporter[at + i] !== lastAddress[i]) {
            same = false;
            break;
          }
        }
        if (same) return lastId;
      }
      for (let i = 0; i < 16; i++) lastAddress[i] = exporter[at + i];
      lastDomain = domain;
      lastKind = kind;
      const key = `${String.fromCharCode(...lastAddress)}${domain},${kind}`;
      let id = ids.get(key);
      if (id === undefined) {
        if (points.length < MAX_VANTAGE_POINTS) {
          id = points.length;
          points.push({ address: formatAddress(exporter, at), domain });
          ids.set(key, id);
        } else id = MAX_VANTAGE_POINTS - 1;
      }
      lastId = id;
      return id;
    },
    get: (id) => points[id],
  };
}
