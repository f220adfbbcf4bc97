/**
 * Who saw a flow: exporter, observation domain, version and direction as one small number, the vantage point; the
 * exporter and domain alone as another, the observer; and the exporter's address alone as a third, the exporter.
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
  /** The observer at a vantage point. */
  observerOf(id: number): number;
  /** The observer of an address and a domain, which may have been seen by an earlier process only. */
  observerNamed(address: string, domain: number): number;
  observer(id: number): VantagePoint;
  /** The exporter at a vantage point, whatever its domain. */
  exporterOf(id: number): number;
  /** The exporter of an address, which may have been seen by an earlier process only. */
  exporterNamed(address: string): number;
  exporterAddress(exporter: number): string;
  /** How many exporters there are: they have the numbers below it. */
  readonly addresses: number;
}

export function createVantagePoints(): VantagePoints {
  const ids = new Map<string, number>();
  /** Observers of the vantage points. */
  const points: number[] = [];
  const observers: VantagePoint[] = [];
  const observerIds = new Map<string, number>();
  /** Exporters of the vantage points. */
  const pointExporters: number[] = [];
  const addresses: string[] = [];
  const exporterIds = new Map<string, number>();
  const lastAddress = new Uint8Array(16);
  let lastDomain = -1;
  let lastKind = -1;
  let lastId = 0;

  function exporterNamed(address: string): number {
    let exporter = exporterIds.get(address);
    if (exporter === undefined) {
      exporter = addresses.push(address) - 1;
      exporterIds.set(address, exporter);
    }
    return exporter;
  }

  function observerNamed(address: string, domain: number): number {
    const key = `${address} ${domain}`;
    let id = observerIds.get(key);
    if (id === undefined) {
      id = observers.push({ address, domain }) - 1;
      exporterNamed(address);
      observerIds.set(key, id);
    }
    return id;
  }

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
          const address = formatAddress(exporter, at);
          points.push(observerNamed(address, domain));
          pointExporters.push(exporterNamed(address));
          ids.set(key, id);
        } else id = MAX_VANTAGE_POINTS - 1;
      }
      lastId = id;
      return id;
    },
    get: (id) => observers[points[id]],
    observerOf: (id) => points[id],
    observerNamed,
    observer: (id) => observers[id],
    exporterOf: (id) => pointExporters[id],
    exporterNamed,
    exporterAddress: (exporter) => addresses[exporter],
    get addresses() {
      return addresses.length;
    },
  };
}
