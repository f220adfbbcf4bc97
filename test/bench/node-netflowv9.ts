/**
 * node-netflowv9's own decode into objects, as the peer that one would write on Node without thinking of speed.
 *
 * Its decoding functions are called on a context of ours: never its socket, and only with datagrams of our making.
 */

import { createRequire } from 'node:module';
import nf9PktDecode, { type TemplateTable } from 'node-netflowv9/js/nf9/nf9decode.js';
import tables from 'node-netflowv9/js/nf9/nftypes.js';

const require = createRequire(import.meta.url);
const nf5PktDecode: (message: Buffer, exporter: object) => { flows: readonly unknown[] } =
  require('node-netflowv9/js/nf5/nf5decode.js');
const EXPORTER = { address: '127.0.0.1', port: 2055 };

/** Decodes v5 and v9; returns the number of flow objects. */
export function createObjectDecoder(): (datagram: Buffer) => number {
  const templates: TemplateTable = Object.create(null);
  const context = { ...tables, nfInfoTemplates: () => templates };
  return (datagram) =>
    datagram.readUInt16BE(0) === 9
      ? nf9PktDecode.call(context, datagram, EXPORTER).flows.length
      : nf5PktDecode(datagram, EXPORTER).flows.length;
}
