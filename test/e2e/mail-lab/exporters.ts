/** The exporters of the lab, in parallel on the router's outside. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Namespaces, SMTP_CLIENT, SMTP_SERVER } from '../namespaces.ts';
import { collectorAddress, exporterAddress, type Place } from './network.ts';

/** Flows end a second after FIN or RST, after 15 s without a packet, and are told of every minute. */
export const TIMEOUTS = [
  'expint=1',
  'tcp.fin=1',
  'tcp.rst=1',
  'maxlife=60',
  'tcp=15',
  'general=15',
  'udp=15',
];

const TUNNEL_PORT = 4500;
const INSIDE = '(net 10.77.0.0/16 or net 2001:db8:77::/64)';
const FORWARD = '(tcp dst port 25)';
const REPLY = '(tcp src port 25)';

interface Exporter {
  readonly name: string;
  readonly program: 'softflowd' | 'pmacctd';
  readonly version: '5' | '9' | '10';
  /** Which packets of mail it sees; both directions when absent. */
  readonly half?: string;
  readonly options?: readonly string[];
}

/** In a fixed order: addresses follow from it. */
export const EXPORTERS: readonly Exporter[] = [
  { name: 'softflowd-v5', program: 'softflowd', version: '5' },
  { name: 'softflowd-v9', program: 'softflowd', version: '9' },
  { name: 'softflowd-ipfix', program: 'softflowd', version: '10' },
  { name: 'softflowd-ipfix-biflow', program: 'softflowd', version: '10', options: ['-b'] },
  { name: 'pmacctd-v9', program: 'pmacctd', version: '9' },
  { name: 'pmacctd-ipfix', program: 'pmacctd', version: '10' },
  { name: 'softflowd-v9-forward', program: 'softflowd', version: '9', half: FORWARD },
  { name: 'pmacctd-ipfix-forward', program: 'pmacctd', version: '10', half: FORWARD },
  { name: 'softflowd-v5-reply', program: 'softflowd', version: '5', half: REPLY },
];

export const PORT = 2055;

/** Resolves when all of them, or those named, export; they end with the network. */
export async function startExporters(network: Namespaces<Place>, names: readonly string[]): Promise<void> {
  // softflowd gets packets from libpcap only when 256 KiB have come together (test/fixtures/README.md).
  await network
    .start('router', 'python3', SMTP_SERVER, `sink/198.51.100.1:${TUNNEL_PORT}`)
    .printed(/listening/);
  network.start(
    'world',
    'python3',
    SMTP_CLIENT,
    'stream',
    '198.51.100.2',
    '198.51.100.1',
    String(TUNNEL_PORT),
  );
  const sinks = EXPORTERS.map((_, n) => `sink/${collectorAddress(n)}:${PORT}`);
  await network.start('collect', 'python3', SMTP_SERVER, ...sinks).printed(/listening/);
  for (const [n, exporter] of EXPORTERS.entries()) {
    if (!names.includes(exporter.name)) continue;
    const file = join(network.directory, exporter.name);
    const target = `${collectorAddress(n)}:${PORT}`;
    const half = exporter.half ?? '(tcp port 25)';
    if (exporter.program === 'softflowd') {
      const limits = TIMEOUTS.flatMap((timeout) => ['-t', timeout]);
      const files = ['-p', `${file}.pid`, '-c', `${file}.ctl`];
      const filter = `(${half} and ${INSIDE}) or udp port ${TUNNEL_PORT}`;
      const args = ['-i', 'wan0', '-n', target, '-v', exporter.version, '-d', ...limits, ...files];
      const options = exporter.options ?? [];
      await network.start('router', 'softflowd', ...args, ...options, filter).printed(/Exporting flows/);
    } else {
      const settings = {
        daemonize: 'false',
        pcap_interface: 'wan0',
        pcap_filter: `${half} and ${INSIDE}`,
        aggregate: 'src_host,dst_host,src_port,dst_port,proto,tos,tcpflags',
        plugins: 'nfprobe',
        nfprobe_receiver: target,
        nfprobe_source_ip: exporterAddress(n),
        nfprobe_version: exporter.version,
        nfprobe_timeouts: TIMEOUTS.join(':'),
      };
      writeFileSync(
        `${file}.conf`,
        Object.entries(settings)
          .map(([key, value]) => `${key}: ${value}\n`)
          .join(''),
      );
      await network.start('router', 'pmacctd', '-f', `${file}.conf`).printed(/Exporting flows/);
    }
  }
}
