/**
 * NetFlow v1, v5 and v7: record layouts that are known in advance, written down as templates.
 *
 * One reader serves all versions, so nothing here reads a byte. Layouts are those of Cisco's "NetFlow Export Datagram
 * Format"; elements that rogue-smtp has no column for are left as gaps (id 0).
 */

import { IE, type TemplateField } from './template-field.ts';

export interface FixedVersion {
  readonly headerBytes: number;
  readonly recordBytes: number;
  readonly fields: readonly TemplateField[];
}

const gap = (length: number): TemplateField => ({ id: 0, pen: 0, length });
const field = (id: number, length: number): TemplateField => ({ id, pen: 0, length });

const UP_TO_PORTS = [
  field(IE.sourceIPv4Address, 4),
  field(IE.destinationIPv4Address, 4),
  gap(4),
  field(IE.ingressInterface, 2),
  field(IE.egressInterface, 2),
  field(IE.packetDeltaCount, 4),
  field(IE.octetDeltaCount, 4),
  field(IE.flowStartSysUpTime, 4),
  field(IE.flowEndSysUpTime, 4),
  field(IE.sourceTransportPort, 2),
  field(IE.destinationTransportPort, 2),
];

const FLAGS_AND_PROTOCOL = [gap(1), field(IE.tcpControlBits, 1), field(IE.protocolIdentifier, 1)];

/** Padding of two bytes, protocol, type of service, flags, then three bytes of padding and eight reserved. */
export const V1: FixedVersion = {
  headerBytes: 16,
  recordBytes: 52,
  fields: [
    ...UP_TO_PORTS,
    gap(2),
    field(IE.protocolIdentifier, 1),
    gap(1),
    field(IE.tcpControlBits, 1),
    gap(11),
  ],
};

export const V5: FixedVersion = {
  headerBytes: 24,
  recordBytes: 48,
  fields: [...UP_TO_PORTS, ...FLAGS_AND_PROTOCOL, gap(9)],
};

/** As v5, with the address of the shortcut router behind. */
export const V7: FixedVersion = {
  headerBytes: 24,
  recordBytes: 52,
  fields: [...UP_TO_PORTS, ...FLAGS_AND_PROTOCOL, gap(13)],
};
