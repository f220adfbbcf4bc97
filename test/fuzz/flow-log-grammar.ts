/**
 * Flow logs by grammar: a header of each kind and lines under it, with words where words do harm.
 */

import type { Random } from './random.ts';

/** Values that are none: too long, too large, of another kind, names that every object has. */
// biome-ignore format: a table
const ODD = [
  '', '-', '(empty)', '0', '-1', '1e308', '1e400', 'NaN', 'Infinity', '0x19', '65536', '99999999999999999999', '1.5',
  'constructor', '__proto__', 'toString', 'null', 'true', '::', '::ffff:1.2.3.4', '256.1.1.1', 'fe80::1%eth0', '"', "'",
  ',', '\t', '\\', '\u0000', '\u00ff', '{', '[]', '{}', '25/tcp', 'smtp', '2026-02-30T25:61:61', 'A'.repeat(300),
];

const ADDRESSES = ['192.0.2.55', '198.51.100.25', '2001:db8::1', '0.0.0.0', '255.255.255.255'];
const PORTS = ['25', '40000', '0', '65535'];
const COUNTS = ['0', '1', '12', '4294967296', '9007199254740993'];
const SECONDS = ['1767225600.123456', '1767225600', '0.5', '0'];
const TIMES = [
  '2026-01-01 00:00:00',
  '2026-01-01T00:00:00.000001+0000',
  '2026-01-01 00:00:00.123',
  '2026/01/01.00:00:00',
];

type Column = readonly [name: string, values: readonly string[]];

// biome-ignore format: a table
const ZEEK: readonly Column[] = [
  ['ts', SECONDS], ['uid', ['C1']], ['id.orig_h', ADDRESSES], ['id.orig_p', PORTS], ['id.resp_h', ADDRESSES],
  ['id.resp_p', PORTS], ['proto', ['tcp', 'udp', 'icmp', '6']], ['duration', SECONDS], ['orig_bytes', COUNTS],
  ['resp_bytes', COUNTS], ['conn_state', ['SF', 'S0', 'REJ', 'OTH', 'RSTO']], ['history', ['ShADadFf', 'S', '^dDaA']],
  ['orig_pkts', COUNTS], ['orig_ip_bytes', COUNTS], ['resp_pkts', COUNTS], ['resp_ip_bytes', COUNTS],
];
// biome-ignore format: a table
const AWS: readonly Column[] = [
  ['version', ['2', '5']], ['account-id', ['123456789012']], ['interface-id', ['eni-1']], ['srcaddr', ADDRESSES],
  ['dstaddr', ADDRESSES], ['srcport', PORTS], ['dstport', PORTS], ['protocol', ['6', '17', '255']], ['packets', COUNTS],
  ['bytes', COUNTS], ['start', ['1767225600']], ['end', ['1767225660']], ['action', ['ACCEPT', 'REJECT']],
  ['log-status', ['OK', 'NODATA', 'SKIPDATA']], ['tcp-flags', ['2', '3', '19']], ['flow-direction', ['ingress', 'egress']],
];
// biome-ignore format: a table
const NFDUMP: readonly Column[] = [
  ['ts', TIMES], ['te', TIMES], ['td', SECONDS], ['sa', ADDRESSES], ['da', ADDRESSES], ['sp', PORTS], ['dp', PORTS],
  ['pr', ['TCP', 'UDP', '6']], ['flg', ['...AP.SF', '........', '0x1b']], ['fwd', ['0', '64', '128']], ['stos', ['0']],
  ['ipkt', COUNTS], ['ibyt', COUNTS], ['opkt', COUNTS], ['obyt', COUNTS], ['in', ['1']], ['out', ['2']], ['ra', ADDRESSES],
];
// biome-ignore format: a table
const ARGUS: readonly Column[] = [
  ['StartTime', TIMES], ['Flgs', ['e', ' e s']], ['Proto', ['tcp', 'udp', 'arp', 'man']], ['SrcAddr', ADDRESSES],
  ['Sport', PORTS], ['Dir', ['->', '<-', '<->', '<?>', '  ->']], ['DstAddr', ADDRESSES], ['Dport', PORTS],
  ['TotPkts', COUNTS], ['TotBytes', COUNTS], ['State', ['CON', 'FIN', 'RST', 'INT', 'FSPA_FSPA', 'S_', '_']], ['Dur', SECONDS],
];

export function flowLog(random: Random): Buffer {
  const text = random.pick([
    () => table(ZEEK, '\t', '#separator \\x09\n#unset_field\t-\n#path\tconn\n#fields\t', random),
    () => json(ZEEK, random),
    () => eve(random),
    () => table(AWS, ' ', '', random),
    () => table(NFDUMP, ',', '', random),
    () => table(ARGUS, random.pick([',', '|', '\t']), '', random),
    () => firewall(random),
    () => packed(random),
  ])();
  return Buffer.from(text, 'utf8');
}

/** Lines of firewalls; ADDRESS, PORT, COUNT and TIME stand for values. */
const FIREWALL_LINES = [
  'TIME gw kernel: [1.2] DROP IN=eth0 OUT=eth1 SRC=ADDRESS DST=ADDRESS LEN=COUNT PROTO=TCP SPT=PORT DPT=PORT RES=0x00 ACK SYN URGP=0',
  'TIME fw filterlog[1]: 5,,,1,em0,match,block,in,4,0x0,,64,1,0,DF,6,tcp,COUNT,ADDRESS,ADDRESS,PORT,PORT,0,S,1,,1,,',
  'TIME rule 2/0(match): block in on em0: ADDRESS.PORT > ADDRESS.PORT: Flags [S.], seq 1, length 0',
  'TIME asa : %ASA-6-302013: Built outbound TCP connection COUNT for outside:ADDRESS/PORT (ADDRESS/PORT) to inside:ADDRESS/PORT (ADDRESS/PORT)',
  'TIME asa : %ASA-6-302014: Teardown TCP connection COUNT for outside:ADDRESS/PORT to inside:ADDRESS/PORT duration 0:00:05 bytes COUNT TCP FINs',
  'TIME asa : %ASA-4-106023: Deny tcp src inside:ADDRESS/PORT dst outside:ADDRESS/PORT by access-group "in" [0x0, 0x0]',
  'TIME: %ASA-6-106100: access-list in denied tcp inside/ADDRESS(PORT) -> outside/ADDRESS(PORT) hit-cnt COUNT first hit [0x0, 0x0]',
  'date=2026-01-01 time=00:00:00 type="traffic" srcip=ADDRESS srcport=PORT dstip=ADDRESS dstport=PORT proto=6 action="close" sentbyte=COUNT rcvdbyte=COUNT sentpkt=COUNT rcvdpkt=COUNT duration=COUNT eventtime=COUNT',
  '1,2026/01/01 00:00:00,1,TRAFFIC,end,1,2026/01/01 00:00:00,ADDRESS,ADDRESS,,,"a, b",,,smtp,v,t,u,e,e,d,x,1,1,PORT,PORT,0,0,0x1c,tcp,allow,COUNT,COUNT,COUNT,COUNT,2026/01/01 00:00:00,COUNT,any,0,1,0x0,US,US,0,COUNT,COUNT,tcp-fin',
  'TIME srx RT_FLOW: RT_FLOW_SESSION_CLOSE [junos@1 source-address="ADDRESS" source-port="PORT" destination-address="ADDRESS" destination-port="PORT" protocol-id="6" packets-from-client="COUNT" bytes-from-client="COUNT" elapsed-time="COUNT"]',
];

const STANDS_FOR: Readonly<Record<string, readonly string[]>> = {
  ADDRESS: ADDRESSES,
  PORT: PORTS,
  COUNT: COUNTS,
  TIME: [...TIMES, 'Jan  1 00:00:00', 'Jan 01 2026 00:00:00', '<14>1 2026-01-01T00:00:00Z'],
};

function firewall(random: Random): string {
  const few = Array.from({ length: 1 + random.below(3) }, () => random.pick(FIREWALL_LINES));
  const made = Array.from({ length: 1 + random.below(20) }, () =>
    random.pick(few).replace(/ADDRESS|PORT|COUNT|TIME/g, (word) => value([word, STANDS_FOR[word]], random)),
  );
  return `${made.join('\n')}\n`;
}

/** Lines packed in JSON or CSV, and objects in arrays and envelopes. */
function packed(random: Random): string {
  const inner = random.pick([
    () => table(AWS, ' ', '', random),
    () => firewall(random),
    () => json(ZEEK, random),
  ])();
  const messages = inner.split('\n');
  const objects = messages.map((message) => ({ timestamp: 1, message }));
  const indent = random.oneIn(2) ? 2 : 0;
  return random.pick([
    () => `timestamp,message\n${messages.map((message) => `1,${message}`).join('\n')}`,
    () => JSON.stringify({ events: objects }, null, indent),
    () => JSON.stringify(objects, null, indent),
    () => objects.map((object) => JSON.stringify(object)).join(random.pick(['', '\n'])),
    () => `[${messages.join(',')}]`,
  ])();
}

function value([, values]: Column, random: Random): string {
  return random.oneIn(15) ? random.pick(ODD) : random.pick(values);
}

function some(columns: readonly Column[], random: Random): readonly Column[] {
  if (!random.oneIn(3)) return columns;
  const shuffled = [...columns];
  if (random.oneIn(2)) shuffled.reverse();
  return shuffled.filter(() => !random.oneIn(10));
}

function table(all: readonly Column[], separator: string, head: string, random: Random): string {
  const columns = some(all, random);
  const header = head + columns.map(([name]) => name).join(separator);
  const newline = random.oneIn(6) ? '\r\n' : '\n';
  const lines = Array.from({ length: random.below(20) }, () => {
    if (random.oneIn(30)) return random.oneIn(2) ? header : 'Summary';
    const cells = columns.map((column) => value(column, random));
    if (random.oneIn(20)) cells.length = random.below(cells.length + 3);
    return cells.join(separator);
  });
  return [header, ...lines, random.oneIn(3) ? '#close' : ''].join(newline);
}

function json(columns: readonly Column[], random: Random): string {
  return lines(random, () =>
    Object.fromEntries(
      some(columns, random).map((column) => [column[0], jsonValue(value(column, random), random)]),
    ),
  );
}

/** Numbers as numbers mostly, and now and then something that is none of it. */
function jsonValue(text: string, random: Random): unknown {
  if (random.oneIn(25))
    return random.pick<unknown>([null, true, [], {}, { toString: 1, valueOf: 1 }, -1, 1.5, 1e300]);
  return text !== '' && Number.isFinite(Number(text)) && !random.oneIn(10) ? Number(text) : text;
}

function lines(random: Random, make: () => object): string {
  const made = Array.from({ length: 1 + random.below(20) }, () => JSON.stringify(make()));
  if (random.oneIn(8)) made.push('{"ts":', '{}', '[]', 'x');
  return `${made.join('\n')}\n`;
}

function eve(random: Random): string {
  return lines(random, () => {
    const word = (values: readonly string[]) => jsonValue(value(['', values], random), random);
    const kind = random.pick(['flow', 'flow', 'netflow', 'alert', 'stats']);
    const counts = {
      pkts_toserver: word(COUNTS),
      bytes_toserver: word(COUNTS),
      pkts_toclient: word(COUNTS),
      bytes_toclient: word(COUNTS),
      pkts: word(COUNTS),
      bytes: word(COUNTS),
      start: word(TIMES),
      end: word(TIMES),
      action: word(['drop', 'accept']),
    };
    return {
      timestamp: word(TIMES),
      event_type: kind,
      src_ip: word(ADDRESSES),
      dest_ip: word(ADDRESSES),
      src_port: word(PORTS),
      dest_port: word(PORTS),
      proto: word(['TCP', 'UDP', '006']),
      in_iface: 'eth0',
      host: 'sensor',
      [kind]: counts,
      tcp: random.oneIn(10)
        ? word(ODD)
        : { tcp_flags: word(['1b']), tcp_flags_ts: word(['1b', '02']), tcp_flags_tc: word(['12', 'zz']) },
    };
  });
}
