/**
 * Why an oracle reads a capture otherwise than we do: one line for each difference, with what exactly is different.
 *
 * A difference that is not here, or not in these words, makes the conformance run fail; so does a line here that no
 * longer stands for a difference.
 */

export type Oracle = 'stated' | 'library' | 'tshark' | 'nfdump';

export interface Reason {
  readonly capture: string;
  readonly oracle: Oracle;
  /** As the run prints it. */
  readonly difference: string;
  readonly why: string;
}

const WAITS = 'data that came before its template; we keep it until the template comes';
const TSHARK_COUNT = 'TShark reads no more sets than the header counts, and the header counts too few';
const NFDUMP_V5 =
  'nfcapd refuses a datagram whose header counts more records than it holds; we take those that are there';
const ZEROS =
  'a set of length 0 (the datagram is filled up with zeros), over which the library loops for ever';
const ENTERPRISE =
  'only the addresses are IANA elements, all else is of Procera; nfcapd stores no flow of these templates';
const BEHIND_THE_END = 'a set behind the end that the message header announces, which we do not read';
const DISCARDED =
  'a packet that the agent dropped (sample format 5) is a row of ours, and counts as no flow sample there';
const NO_FRAME = 'four flow samples hold no frame and no addresses, one runs past its datagram';
const BAD_OPTIONS =
  'TShark stops at an options template that is malformed; we count it and read the data behind it';

const OUT_COUNTERS =
  'three records count in OUT and leave IN zero; we take OUT then, so that they are not empty';
const ZERO_DELTA =
  'an interval counter of zero beside a total, before any interval counter counted: we take the total';

const EMPTY_HALF =
  'four biflows count nothing in their first direction: we give the row of the other one, and no empty row';

const ONLY_A_FRAME = 'the template holds a frame and nothing else; nfcapd stores no flow of it';
const NEGATIVE = 'the interval counters are -1; we take the totals beside them';
const AFTER_RESTART =
  'the exporter restarted and its template does not come again: data waits, and is not read with the old one';
const STALE = 'the template of before a restart, with which the library reads what came after it';

/** Of the cases from the field: capture, oracle, what differs, why. */
const OF_CASES: readonly (readonly [string, Oracle, readonly string[], string])[] = [
  ['ipfix-315-inline-monitoring', 'nfdump', ['flows: 0, ours 40'], ONLY_A_FRAME],
  [
    'ipfix-antrea-negative-delta',
    'tshark',
    ['packets of 3 of 3 records', 'bytes of 3 of 3 records'],
    NEGATIVE,
  ],
  ['ipfix-restart-from-3500M-to-0', 'tshark', ['flows: 120, ours 60'], AFTER_RESTART],
  ['ipfix-restart-from-3500M-to-0', 'nfdump', ['flows: 120, ours 60'], AFTER_RESTART],
  ['v9-2probes-one-address-other-layout', 'tshark', ['flows: 228, ours 240'], TSHARK_COUNT],
  ['v9-2probes-one-address-same-layout', 'tshark', ['flows: 228, ours 240'], TSHARK_COUNT],
  ['v9-in-zero-out-set', 'library', ['packets of 3 of 3 records', 'bytes of 3 of 3 records'], OUT_COUNTERS],
  ['v9-in-zero-out-set', 'tshark', ['flows: 2, ours 3'], TSHARK_COUNT],
  ['v9-meraki-server-first', 'tshark', ['flows: 6, ours 7'], TSHARK_COUNT],
  ['v9-meraki-server-first-end-of-file', 'tshark', ['flows: 2, ours 3'], TSHARK_COUNT],
  [
    'v9-restart-stale-template-good-host-blocked',
    'library',
    ['src of 25 of 30 records', 'dst of 25 of 30 records'],
    STALE,
  ],
  ['v9-restart-stale-template-good-host-blocked', 'tshark', ['flows: 29, ours 30'], TSHARK_COUNT],
  ['v9-restart-template-first-control', 'tshark', ['flows: 28, ours 30'], TSHARK_COUNT],
  [
    'v9-scope-interface-control-if1-only',
    'tshark',
    ['flows: 0, ours 40', 'options: 0, ours 1'],
    TSHARK_COUNT,
  ],
  [
    'v9-scope-interface-greetings-if1-1000-if2-1',
    'tshark',
    ['flows: 0, ours 40', 'options: 0, ours 2'],
    TSHARK_COUNT,
  ],
];

export const REASONS: readonly Reason[] = [
  ...OF_CASES.flatMap(([name, oracle, differences, why]) =>
    differences.map((difference): Reason => ({ capture: `cases/${name}`, oracle, difference, why })),
  ),
  ...[
    'src of 4 of 76',
    'dst of 4 of 76',
    'src_port of 2 of 76',
    'dst_port of 2 of 76',
    'packets of 4 of 76',
    'bytes of 4 of 76',
  ].map(
    (fields): Reason => ({
      capture: 'captures/softflowd-ipfix-biflow',
      oracle: 'tshark',
      difference: `${fields} records`,
      why: EMPTY_HALF,
    }),
  ),
  {
    capture: 'captures/softflowd-v9-sampled',
    oracle: 'tshark',
    difference: 'flows: 100, ours 119',
    why: TSHARK_COUNT,
  },
  {
    capture: 'captures/softflowd-v9-sampled',
    oracle: 'tshark',
    difference: 'options: 0, ours 1',
    why: TSHARK_COUNT,
  },
  {
    capture: 'bitkeks/v9-data-before-template-same-packet',
    oracle: 'stated',
    difference: 'flows: 0, ours 8',
    why: WAITS,
  },
  {
    capture: 'bitkeks/v9-data-before-template-same-packet',
    oracle: 'library',
    difference: 'flows: 0, ours 8',
    why: WAITS,
  },
  {
    capture: 'bitkeks/v9-data-before-template-same-packet',
    oracle: 'tshark',
    difference: 'flows: 0, ours 8',
    why: WAITS,
  },
  {
    capture: 'bitkeks/v9-data-before-template-same-packet',
    oracle: 'nfdump',
    difference: 'flows: 0, ours 8',
    why: WAITS,
  },
  {
    capture: 'bitkeks/v9-data-before-template-then-more',
    oracle: 'stated',
    difference: 'flows: 32, ours 44',
    why: WAITS,
  },
  {
    capture: 'bitkeks/v9-data-before-template-then-more',
    oracle: 'library',
    difference: 'flows: 32, ours 44',
    why: WAITS,
  },
  {
    capture: 'bitkeks/v9-data-before-template-then-more',
    oracle: 'tshark',
    difference: 'flows: 32, ours 44',
    why: WAITS,
  },
  {
    capture: 'bitkeks/v9-data-before-template-then-more',
    oracle: 'nfdump',
    difference: 'flows: 32, ours 44',
    why: WAITS,
  },
  {
    capture: 'calmh/procera-badencoding',
    oracle: 'tshark',
    difference: 'flows: 41, ours 40',
    why: 'TShark counts a record whose variable-length field runs past the set',
  },
  {
    capture: 'calmh/procera-badencoding',
    oracle: 'nfdump',
    difference: 'flows: 0, ours 40',
    why: ENTERPRISE,
  },
  { capture: 'calmh/procera-read', oracle: 'nfdump', difference: 'flows: 0, ours 31', why: ENTERPRISE },
  { capture: 'cistern/sflow-all', oracle: 'stated', difference: 'flows: 6, ours 7', why: DISCARDED },
  { capture: 'cistern/sflow-all', oracle: 'tshark', difference: 'flows: 6, ours 7', why: DISCARDED },
  { capture: 'gopacket/sflow-all', oracle: 'stated', difference: 'flows: 21, ours 16', why: NO_FRAME },
  { capture: 'gopacket/sflow-all', oracle: 'tshark', difference: 'flows: 21, ours 16', why: NO_FRAME },
  {
    capture: 'logstash/ipfix-netscaler-with-variable-length-fields-2',
    oracle: 'stated',
    difference: 'flows: 3, ours 6',
    why: WAITS,
  },
  {
    capture: 'logstash/ipfix-netscaler-with-variable-length-fields-2',
    oracle: 'tshark',
    difference: 'flows: 3, ours 6',
    why: WAITS,
  },
  {
    capture: 'logstash/ipfix-netscaler-with-variable-length-fields-2',
    oracle: 'nfdump',
    difference: 'flows: 3, ours 6',
    why: WAITS,
  },
  {
    capture: 'logstash/netflow-5-invalid-01',
    oracle: 'nfdump',
    difference: 'flows: 0, ours 30',
    why: NFDUMP_V5,
  },
  {
    capture: 'logstash/netflow-5-invalid-02',
    oracle: 'nfdump',
    difference: 'flows: 0, ours 30',
    why: NFDUMP_V5,
  },
  { capture: 'malformed/v5-count-163', oracle: 'nfdump', difference: 'flows: 0, ours 30', why: NFDUMP_V5 },
  { capture: 'malformed/v5-count-55582', oracle: 'nfdump', difference: 'flows: 0, ours 30', why: NFDUMP_V5 },
  {
    capture: 'logstash/netflow-9-cisco-aci',
    oracle: 'library',
    difference: 'never returns on 1 of 2 datagrams',
    why: ZEROS,
  },
  {
    capture: 'logstash/netflow-9-h3c-netstream-with-varstring',
    oracle: 'stated',
    difference: 'flows: 0, ours 1',
    why: 'a field of variable length, which v9 does not have and H3C sends',
  },
  {
    capture: 'logstash/netflow-9-h3c-netstream-with-varstring',
    oracle: 'library',
    difference: 'flows: 0, ours 1',
    why: 'a field of variable length, which v9 does not have and H3C sends',
  },
  {
    capture: 'logstash/netflow-9-h3c',
    oracle: 'tshark',
    difference: 'flows: 1, ours 16',
    why: 'TShark takes the rest of the set for malformed',
  },
  {
    capture: 'logstash/netflow-9-invalid-01',
    oracle: 'tshark',
    difference: 'flows: 0, ours 2',
    why: TSHARK_COUNT,
  },
  {
    capture: 'logstash/netflow-9-invalid-01',
    oracle: 'tshark',
    difference: 'options: 0, ours 1',
    why: TSHARK_COUNT,
  },
  {
    capture: 'malformed/v9-invalid01-unaligned',
    oracle: 'tshark',
    difference: 'flows: 0, ours 2',
    why: TSHARK_COUNT,
  },
  {
    capture: 'malformed/v9-invalid01-unaligned',
    oracle: 'tshark',
    difference: 'options: 0, ours 1',
    why: TSHARK_COUNT,
  },
  {
    capture: 'logstash/netflow-9-palo-alto-1-flowset-in-large-zero-filled-packet',
    oracle: 'library',
    difference: 'flows: 0, ours 1',
    why: ZEROS,
  },
  {
    capture: 'logstash/netflow-9-palo-alto-1-flowset-in-large-zero-filled-packet',
    oracle: 'library',
    difference: 'never returns on 1 of 2 datagrams',
    why: ZEROS,
  },
  {
    capture: 'malformed/v9-zero-filled-paloalto',
    oracle: 'library',
    difference: 'flows: 0, ours 1',
    why: ZEROS,
  },
  {
    capture: 'malformed/v9-zero-filled-paloalto',
    oracle: 'library',
    difference: 'never returns on 1 of 2 datagrams',
    why: ZEROS,
  },
  {
    capture: 'malformed/ipfix-options+template+data-one-message-121',
    oracle: 'tshark',
    difference: 'flows: 1, ours 0',
    why: BEHIND_THE_END,
  },
  {
    capture: 'malformed/ipfix-options+template+data-one-message-121',
    oracle: 'nfdump',
    difference: 'flows: 1, ours 0',
    why: BEHIND_THE_END,
  },
  {
    capture: 'malformed/ipfix-vmware-unknown-datasets',
    oracle: 'tshark',
    difference: 'flows: 2, ours 4',
    why: BAD_OPTIONS,
  },
  {
    capture: 'malformed/ipfix-vmware-unknown-datasets',
    oracle: 'nfdump',
    difference: 'flows: 5, ours 4',
    why: BEHIND_THE_END,
  },
  { capture: 'vflow/ipfix-vmware-multi', oracle: 'tshark', difference: 'flows: 2, ours 4', why: BAD_OPTIONS },
  {
    capture: 'vflow/ipfix-vmware-multi',
    oracle: 'nfdump',
    difference: 'flows: 5, ours 4',
    why: BEHIND_THE_END,
  },
  {
    capture: 'malformed/sflow-gopacket-overrun',
    oracle: 'tshark',
    difference: 'flows: 2, ours 0',
    why: 'the samples hold no frame, or run past the datagram',
  },
  {
    capture: 'malformed/v9-concatenated',
    oracle: 'library',
    difference: 'flows: 0, ours 2',
    why: 'the library throws at the second packet and loses the first with it',
  },
  {
    capture: 'malformed/v9-concatenated',
    oracle: 'tshark',
    difference: 'flows: 0, ours 2',
    why: TSHARK_COUNT,
  },
  {
    capture: 'malformed/v9-concatenated',
    oracle: 'library',
    difference: 'throws on 1 of 1 datagrams',
    why: 'a set that runs past the end',
  },
  {
    capture: 'malformed/v9-template-split',
    oracle: 'library',
    difference: 'throws on 1 of 1 datagrams',
    why: 'a template that claims more fields than its set holds',
  },
  {
    capture: 'malformed/v9-zero-filled-infinite-loop-36',
    oracle: 'library',
    difference: 'never returns on 1 of 1 datagrams',
    why: ZEROS,
  },
  {
    capture: 'logstash/netflow-9-template-with-0-length-fields',
    oracle: 'library',
    difference: 'packets of 3 of 10 records',
    why: OUT_COUNTERS,
  },
  {
    capture: 'logstash/netflow-9-template-with-0-length-fields',
    oracle: 'library',
    difference: 'bytes of 3 of 10 records',
    why: OUT_COUNTERS,
  },
  {
    capture: 'logstash/netflow-9-template-with-0-length-fields',
    oracle: 'tshark',
    difference: 'packets of 3 of 10 records',
    why: OUT_COUNTERS,
  },
  {
    capture: 'logstash/netflow-9-template-with-0-length-fields',
    oracle: 'tshark',
    difference: 'bytes of 3 of 10 records',
    why: OUT_COUNTERS,
  },
  {
    capture: 'logstash/ipfix-barracuda-firewall',
    oracle: 'tshark',
    difference: 'packets of 1 of 8 records',
    why: ZERO_DELTA,
  },
  {
    capture: 'logstash/ipfix-barracuda-firewall',
    oracle: 'tshark',
    difference: 'bytes of 1 of 8 records',
    why: ZERO_DELTA,
  },
];
