/**
 * A field of a template, and the numbers by which the field's specifications call it.
 *
 * Nothing here knows how a value is read; it only says what RFC 7011 section 3.2 says of a field specifier. NetFlow v9
 * field types are the same numbers below 32768 (RFC 3954 section 8) and carry no enterprise number.
 */

export interface TemplateField {
  /** Information element, without the enterprise bit. */
  readonly id: number;
  /** Private enterprise number; 0 for IANA. */
  readonly pen: number;
  /** Bytes on the wire, or VARIABLE_LENGTH. */
  readonly length: number;
}

/** RFC 7011 section 7; H3C uses it in v9 too. */
export const VARIABLE_LENGTH = 65535;

/** The reverse direction of the same IANA element (RFC 5103 section 6.1). */
export const REVERSE_PEN = 29305;

/** CERT (YAF): tells TCP flags in elements of its own, with bit 14 for the reverse direction. */
export const CERT_PEN = 6871;
export const CERT_REVERSE = 0x4000;

/** VMware: describes the packet inside of a tunnel in elements of its own. */
export const VMWARE_PEN = 6876;

/** Information elements that the decoder reads, by their IANA names or, where those are shorter, by what v9 calls them. */
export const IE = {
  octetDeltaCount: 1,
  packetDeltaCount: 2,
  protocolIdentifier: 4,
  ipClassOfService: 5,
  tcpControlBits: 6,
  sourceTransportPort: 7,
  sourceIPv4Address: 8,
  ingressInterface: 10,
  destinationTransportPort: 11,
  destinationIPv4Address: 12,
  egressInterface: 14,
  flowEndSysUpTime: 21,
  flowStartSysUpTime: 22,
  postOctetDeltaCount: 23,
  postPacketDeltaCount: 24,
  sourceIPv6Address: 27,
  destinationIPv6Address: 28,
  samplingInterval: 34,
  samplerId: 48,
  samplerRandomInterval: 50,
  flowDirection: 61,
  octetTotalCount: 85,
  packetTotalCount: 86,
  fragmentOffset: 88,
  /** Cisco's v9 name for a sampled frame, and where in the frame it begins. */
  layer2PacketSectionOffset: 102,
  layer2PacketSectionData: 104,
  forwardingStatus: 89,
  flowEndReason: 136,
  observationPointId: 138,
  lineCardId: 141,
  portId: 142,
  meteringProcessId: 143,
  exportingProcessId: 144,
  templateId: 145,
  observationDomainId: 149,
  flowStartSeconds: 150,
  flowEndSeconds: 151,
  flowStartMilliseconds: 152,
  flowEndMilliseconds: 153,
  flowStartMicroseconds: 154,
  flowEndMicroseconds: 155,
  flowStartNanoseconds: 156,
  flowEndNanoseconds: 157,
  flowStartDeltaMicroseconds: 158,
  flowEndDeltaMicroseconds: 159,
  systemInitTimeMilliseconds: 160,
  udpSourcePort: 180,
  udpDestinationPort: 181,
  tcpSourcePort: 182,
  tcpDestinationPort: 183,
  postNATSourceIPv4Address: 225,
  postNATDestinationIPv4Address: 226,
  postNAPTSourceTransportPort: 227,
  postNAPTDestinationTransportPort: 228,
  initiatorOctets: 231,
  responderOctets: 232,
  firewallEvent: 233,
  ingressVRFID: 234,
  egressVRFID: 235,
  biflowDirection: 239,
  ingressPhysicalInterface: 252,
  egressPhysicalInterface: 253,
  postNATSourceIPv6Address: 281,
  postNATDestinationIPv6Address: 282,
  basicList: 291,
  subTemplateList: 292,
  subTemplateMultiList: 293,
  initiatorPackets: 298,
  responderPackets: 299,
  selectorId: 302,
  samplingPacketInterval: 305,
  samplingPacketSpace: 306,
  samplingTimeInterval: 307,
  samplingTimeSpace: 308,
  samplingSize: 309,
  samplingPopulation: 310,
  samplingProbability: 311,
  dataLinkFrameSize: 312,
  ipHeaderPacketSection: 313,
  ipPayloadPacketSection: 314,
  dataLinkFrameSection: 315,
  mplsLabelStackSection: 316,
  mplsPayloadPacketSection: 317,
  layer2OctetDeltaCount: 352,
  layer2OctetTotalCount: 353,
  dataLinkFrameType: 408,
  sectionOffset: 409,
  /** Cisco ASA: why, beside the event. */
  nselExtendedEvent: 33002,
  /** Cisco ASA before 8.4 (NSEL over v9): translated addresses and ports, and the event. */
  nselXlateSourceAddress: 40001,
  nselXlateDestinationAddress: 40002,
  nselXlateSourcePort: 40003,
  nselXlateDestinationPort: 40004,
  nselEvent: 40005,
} as const;
