/**
 * What each key of the configuration means, in one or two sentences, with its unit and an example: once, for
 * docs/configuration.md, config.schema.json (editors show it) and the comments that `init` writes.
 *
 * Defaults, types and bounds are the schema's to say. A key may as well carry its words in the schema itself
 * (`.meta({ description, unit, examples })`); a test finds keys without any, and words without a key.
 */

export interface KeyWords {
  readonly text: string;
  readonly unit?: string;
  /** As it is written in YAML, without the key. */
  readonly example?: string;
}

const DURATION = 'duration';
const BYTES = 'size';
const PREFIXES = 'addresses and prefixes';
const HOSTS = 'addresses, prefixes and DNS names';
const COUNT = 'number';

type Row = readonly [text: string, example?: string, unit?: string];

/** By path; `[]` stands for any entry of a list. */
const ROWS: Readonly<Record<string, Row>> = {
  collector: ['Where flow exports arrive, and what is done with them.'],
  'collector.listen': [
    'UDP addresses to receive on. Any version of NetFlow, IPFIX or sFlow may come to any port.',
    '["0.0.0.0:2055", "[::]:2055"]',
    'addresses with port',
  ],
  'collector.exporters': [
    'Take exports from these addresses only. Flow export is unauthenticated UDP: set this before you publish blocks. Empty: from everyone.',
    '[192.0.2.1, 10.0.0.0/24]',
    PREFIXES,
  ],
  'collector.receive_buffer': [
    'Receive buffer of each socket. The kernel gives at most net.core.rmem_max.',
    '64MiB',
    BYTES,
  ],
  'collector.reuse_port': [
    'Several collectors share the ports of `listen`, each a process with a data directory of its own. Needs Linux and Node 22.12 or newer.',
    'true',
  ],
  'collector.receiver': [
    '`auto`: many datagrams in one call, where Linux and the optional package koffi allow it. `node`: one by one, which takes more CPU.',
    'node',
  ],
  'collector.threads': [
    'Threads that receive and decode, for more than one core. All datagrams of one source address go to one thread. More than one needs Linux and the optional package koffi. `limits` hold for each thread.',
    '2',
  ],
  'collector.archive': ['`all`: every flow goes to the store. `mail`: only flows on mail ports.', 'mail'],
  'collector.tunnels': [
    'Which header of a tunnelled packet (GRE, IP in IP, VXLAN, GENEVE, GTP-U) makes the row. With `outer` mail inside of tunnels is not seen.',
    'both',
  ],
  'collector.template_scope': [
    'What templates belong to. Set `address_port` where several exporters share one address (NAT).',
    'address_port',
  ],
  'collector.batch_rows': ['A batch of flows leaves when it has so many rows.', '8192', 'rows'],
  'collector.batch_age': [
    'A batch of flows leaves when it is so old. Alerts may wait so long.',
    '200ms',
    DURATION,
  ],
  'collector.archive_rows': [
    'With Kafka and `archive: all`: rows of a batch for the archive.',
    '32768',
    'rows',
  ],
  'collector.archive_age': [
    'With Kafka and `archive: all`: age of a batch for the archive. What waits is lost, and counted, when the collector is killed.',
    '1s',
    DURATION,
  ],
  'collector.limits': ['Bounds of what exporters can make the collector remember.'],
  'collector.limits.exporters': ['Exporters and observation domains that are told apart.', '4096', COUNT],
  'collector.limits.templates_per_exporter': ['Templates of one exporter.', '1024', COUNT],
  'collector.limits.templates': ['Templates of all exporters.', '32768', COUNT],
  'collector.limits.fields_per_template': ['Fields of one template.', '512', COUNT],
  'collector.limits.pending': ['Data that waits for its template, of all exporters.', '16MiB', BYTES],
  'collector.limits.pending_age': ['How long data waits for its template.', '5m', DURATION],
  'collector.limits.datagrams_per_second': [
    'Datagrams a second that one exporter may send; more are dropped and counted. Absent: no limit.',
    '20000',
    'datagrams a second',
  ],

  networks: ['Your own networks.'],
  'networks.internal': [
    'Networks whose hosts are judged. Add your public prefixes.',
    '[10.0.0.0/8, 192.0.2.0/24, "2001:db8:1::/48"]',
    PREFIXES,
  ],
  'networks.nat': [
    'Addresses that many hosts share behind NAT or CGNAT: they raise alerts and are never blocked.',
    '[192.0.2.128/28]',
    PREFIXES,
  ],
  'networks.interfaces': [
    'Interfaces of routers that face the outside. An internal source that comes in by one is forged: no evidence against the host.',
    '[{ exporters: [192.0.2.1], outside: [3] }]',
  ],
  'networks.interfaces[].exporters': ['Routers that this holds for.', '[192.0.2.1]', PREFIXES],
  'networks.interfaces[].outside': ['SNMP indexes of their outside interfaces.', '[3, 4]', 'ifIndex'],
  'networks.sites': [
    'Sites that use the same internal addresses. A host is then known as HOST@SITE.',
    '[{ name: branch, exporters: [192.0.2.1] }]',
  ],
  'networks.sites[].name': ['Name of the site.', 'branch'],
  'networks.sites[].vrf': ['Flows of this VRF are of the site.', '12', 'VRF id'],
  'networks.sites[].exporters': ['Flows of these exporters are of the site.', '[192.0.2.1]', PREFIXES],

  senders: [
    'Hosts that may send mail: your mail servers. Without any, nothing is ever blocked.',
    '[{ name: mx1, hosts: [192.0.2.25], owner: postmaster, reason: "our mail server" }]',
  ],
  'senders[].name': ['Name of the entry; alerts and lists name it.', 'mx1'],
  'senders[].hosts': ['Hosts that may send.', '[192.0.2.25, mail.example.org]', HOSTS],
  'senders[].to': [
    '`any`, or the only destinations that they may send to (a smarthost).',
    '[198.51.100.25]',
    HOSTS,
  ],
  'senders[].to_lists': ['Names of `lists` whose entries are destinations too.', '[provider]'],
  'senders[].receives': [
    'Others hand it mail, so that a policy list lets mail to it through. Absent: yes, but for a network with `to`.',
    'false',
  ],
  'senders[].sites': ['Sites in which this holds. Absent: everywhere.', '[branch]'],
  'senders[].owner': ['Who to ask about it.', 'postmaster@example.org'],
  'senders[].reason': ['Why it may send.', '"our mail server"'],
  'senders[].until': ['The permission ends at this time.', '"2027-12-31T00:00:00Z"', 'time'],

  expected: [
    'Hosts that talk SMTP but send no mail of their own, such as monitors: reported once, then only when they do more.',
    '[{ name: monitor, hosts: [192.0.2.9], does: check }]',
  ],
  'expected[].name': ['Name of the entry.', 'monitor'],
  'expected[].hosts': ['Hosts that this holds for.', '[192.0.2.9]', HOSTS],
  'expected[].to': ['`any`, or the only destinations that they do this with.', '[198.51.100.25]', HOSTS],
  'expected[].does': [
    '`check`: greetings, also over TLS. `verify`: addresses as well, and no message. `send`: messages to the destinations of `to`, not in bulk.',
    'check',
  ],
  'expected[].sites': ['Sites in which this holds. Absent: everywhere.', '[branch]'],
  'expected[].owner': ['Who to ask about it.', 'netops@example.org'],
  'expected[].reason': ['Why it does this.', '"watches our mail servers"'],
  'expected[].until': ['The declaration ends at this time.', '"2027-12-31T00:00:00Z"', 'time'],

  lists: [
    'Lists of prefixes, one a line, such as what a smarthost provider publishes. `to_lists` and `never_lists` name them.',
    '[{ name: provider, url: "https://provider.example/ranges.txt" }]',
  ],
  'lists[].name': ['Name of the list.', 'provider'],
  'lists[].file': [
    'File with the list, beside the configuration unless absolute. Either this or `url`.',
    'provider.txt',
  ],
  'lists[].url': [
    'URL of the list, without user and password. The last good copy is kept in the data directory.',
    '"https://provider.example/ranges.txt"',
  ],
  'lists[].interval': ['How often the URL is asked.', '1h', DURATION],
  'lists[].stale_after': [
    'A list that was not confirmed for so long is reported as stale. Absent: 30d, of a URL 1d.',
    '1d',
    DURATION,
  ],

  dns: ['How DNS names in `senders`, `expected` and `block.never` are resolved.'],
  'dns.servers': [
    'DNS servers to ask. Empty: those of the machine (resolv.conf).',
    '[192.0.2.53]',
    'addresses',
  ],

  blocklists: ['DNS blocklists that are asked whether own public addresses are on them.'],
  'blocklists.addresses': [
    'Public addresses, and prefixes of at most 256 addresses. Empty: nothing is asked.',
    '[203.0.113.5, 203.0.113.16/28]',
    PREFIXES,
  ],
  'blocklists.zones': [
    'Names of lists; with `codes` where it is not known what their answers mean.',
    '[zen.spamhaus.org]',
    'DNS names',
  ],
  'blocklists.zones[].zone': ['Name of the list.', 'bl.example.org'],
  'blocklists.zones[].codes': ['What each answer means.', '{ 127.0.0.2: "sends spam" }'],
  'blocklists.servers': [
    'DNS servers that ask for us. Most lists refuse public resolvers. Empty: those of the machine (resolv.conf).',
    '[192.0.2.53]',
    'addresses',
  ],
  'blocklists.every': ['How often the lists are asked.', '1h', DURATION],

  identity: ['Files that tell who a host was; commands read them when they show hosts.'],
  'identity.leases': [
    'Files that DHCP servers write about their leases.',
    '[{ file: /var/lib/kea/dhcp4.leases, format: kea }]',
  ],
  'identity.leases[].file': ['The file.', '/var/lib/dhcp/dhcpd.leases'],
  'identity.leases[].format': ['Which server writes it.', 'kea'],
  'identity.leases[].zone': [
    'Clock that wrote the file, minutes east of UTC. Only Windows writes local times.',
    '60',
    'minutes',
  ],
  'identity.owners': ['CSV file with the columns "prefix" and "owner".', '/etc/rogue-smtp/owners.csv'],

  detection: ['What counts as sending mail. The defaults are measured; see docs/grades.md.'],
  'detection.ports': ['TCP ports that carry mail between servers.', '[25]', 'ports'],
  'detection.submission': [
    'Hosts that use submission ports like a bot. They raise alerts and are never blocked.',
  ],
  'detection.submission.ports': ['Submission ports.', '[465, 587]', 'ports'],
  'detection.submission.alert': ['Raise these alerts.', 'true'],
  'detection.submission.servers': [
    'Report a host from so many different servers within the window on.',
    '20',
    COUNT,
  ],
  'detection.submission.sessions': [
    'Report a host from so many sessions within the window on.',
    '300',
    COUNT,
  ],
  'detection.submission.window': ['The window.', '1h', DURATION],
  'detection.submission.nat_factor': [
    'An address of `networks.nat`, or an IPv6 /64 that counts as one host, may have so many times as much.',
    '10',
    'factor',
  ],
  'detection.internal': ['Mail between internal hosts.'],
  'detection.internal.alert': [
    'Raise alerts for mail between internal hosts, to no authorised sender. Never blocked.',
    'true',
  ],
  'detection.inbound': ['Internal hosts that receive mail from outside.'],
  'detection.inbound.alert': [
    'Report internal hosts that answer SMTP sessions from outside and are no senders.',
    'true',
  ],
  'detection.inbound.sources': ['From so many different clients on.', '2', COUNT],
  'detection.baseline': ['Authorised senders that talk to far more servers than usual.'],
  'detection.baseline.alert': ['Raise these alerts. Never blocked.', 'true'],
  'detection.baseline.factor': ['How many times as many servers in an hour as usual.', '3', 'factor'],
  'detection.baseline.min_destinations': ['And at least so many.', '50', COUNT],
  'detection.baseline.history': ['Judged from so many hours of history on.', '24', 'hours'],
  'detection.session_timeout': [
    'Records of one TCP connection that are no further apart belong to one session.',
    '5m',
    DURATION,
  ],
  'detection.conversed': ['Octets of payload from the client of one session that prove a message.'],
  'detection.conversed.plain_payload_bytes': ['Without TLS.', '260', 'octets'],
  'detection.conversed.tls_payload_bytes': [
    'Over TLS, where several sessions must be so large.',
    '1040',
    'octets',
  ],
  'detection.conversed.any_payload_bytes': ['What no check reaches, whatever it does.', '3500', 'octets'],
  'detection.bulk': ['What counts as mail in bulk, within a window.'],
  'detection.bulk.sessions': ['Sessions that may have carried a message.', '100', COUNT],
  'detection.bulk.destinations': ['Their destinations.', '20', COUNT],
  'detection.bulk.envelope_destinations': [
    'Destinations of sessions that only named addresses (refused mail, verification). Never blocked for this unless a person approves.',
    '100',
    COUNT,
  ],
  'detection.bulk.window': ['The window.', '10m', DURATION],
  'detection.scanning': ['What counts as scanning for mail servers.'],
  'detection.scanning.destinations': [
    'Destinations within `bulk.window` that nothing was carried to.',
    '20',
    COUNT,
  ],
  'detection.ipv6_group': [
    '64: all addresses of an IPv6 /64 are one host, since privacy addresses change. On Kafka, collectors and detectors must say the same.',
    '64',
    'prefix length',
  ],
  'detection.quiet': ['An incident closes when nothing new was seen for so long.', '24h', DURATION],
  'detection.update_interval': [
    'An open incident that merely goes on is reported at most so often.',
    '1h',
    DURATION,
  ],
  'detection.max_hosts': [
    'Hosts with incidents that are kept in memory. Absent: as many as a quarter of the memory holds, at most a million.',
    '200000',
    COUNT,
  ],
  'detection.max_sessions': ['Sessions that are kept in memory.', '1000000', COUNT],

  alerts: ['Which incidents raise alerts. All are shown, and blocked by `block`, whatever is said here.'],
  'alerts.grade': ['Alerts from this grade on.', 'connected'],
  'alerts.groups': [
    'The same for groups of hosts, such as a guest network. The first group that has the host decides.',
    '[{ name: guests, hosts: [10.20.0.0/16], grade: bulk }]',
  ],
  'alerts.groups[].name': ['Name of the group.', 'guests'],
  'alerts.groups[].hosts': ['Hosts of the group.', '[10.20.0.0/16]', PREFIXES],
  'alerts.groups[].sites': ['Sites of the group. With `hosts` as well, a host must be in both.', '[branch]'],
  'alerts.groups[].grade': ['Alerts of the group from this grade on.', 'bulk'],

  coverage: ['When a gap in what is seen is an alert of its own.'],
  'coverage.silent_after': [
    'An exporter that sent nothing for so long. Longer than its active timeout and template refresh.',
    '10m',
    DURATION,
  ],
  'coverage.loss': ['Share of flows or datagrams lost within `interval`.', '0.01', '0 to 1'],
  'coverage.interval': [
    'Losses are judged over so long, and each cause is reported at most once in it.',
    '5m',
    DURATION,
  ],

  block: ['Which hosts get into the lists.'],
  'block.mode': [
    '`observe`: alerts only. `propose`: blocks wait for approval. `publish`: offenders go into the lists by themselves.',
    'propose',
  ],
  'block.grade': ['Block from this grade on.', 'bulk'],
  'block.scanners': ['Block hosts that scan, too. Their packets alone may be forged by others.', 'true'],
  'block.ttl': ['How long a block lasts after the last evidence.', '24h', DURATION],
  'block.lease': ['How long the network leases an address (DHCP): no block lasts longer.', '8h', DURATION],
  'block.ipv6': [
    'With `detection.ipv6_group: 64`. `hosts`: block the addresses with evidence of their own. `prefix`: block the whole /64.',
    'prefix',
  ],
  'block.ipv6_ttl': ['How long an address of a /64 is blocked after its evidence.', '4h', DURATION],
  'block.unseen_senders': [
    'Before any sender was seen at work, `senders` may be wrong. `hold`: block nothing unasked until one is seen. `publish`: block all the same.',
    'publish',
  ],
  'block.never': [
    'Never blocked, whatever they do: gateways, NAT pools, this collector.',
    '[192.0.2.1, gateway.example.org]',
    HOSTS,
  ],
  'block.never_lists': ['Names of `lists` whose entries are never blocked either.', '[partners]'],
  'block.max_entries': ['Most hosts in a list.', '500', COUNT],
  'block.max_new_per_hour': ['Most new blocks in an hour.', '50', COUNT],
  'block.max_change': ['Most new hosts at once; more wait until a person approves them.', '50', COUNT],
  'block.grace': [
    'Records that began so long after a block was published tell whether it works. Longer than routers need to fetch a list.',
    '5m',
    DURATION,
  ],

  acl: ['Access lists that are written for routers.'],
  'acl.umask': [
    'Taken from the modes of list files: "027" gives 0640, "022" gives 0644 for a web server of another user. In quotes.',
    '"022"',
    'octal',
  ],
  'acl.targets': [
    'The lists. Each is written as a file whenever it changes.',
    '[{ name: edge1, platform: cisco-ios, interface: GigabitEthernet0/1 }]',
  ],
  'acl.targets[].name': ['Name of the list; its file is named after it.', 'edge1'],
  'acl.targets[].platform': ['Whose language.', 'cisco-ios'],
  'acl.targets[].form': [
    'Where the platform reads more than one form. Absent: `set` for Junos.',
    'hierarchical',
  ],
  'acl.targets[].kind': [
    '`offenders`: deny those who are blocked. `policy`: deny everybody but the senders.',
    'policy',
  ],
  'acl.targets[].interface': ['The LAN-facing interface, as the router calls it.', 'GigabitEthernet0/1'],
  'acl.targets[].without_senders': [
    'Of kind `policy`, without senders of an IP version. `refuse`: there is no list. `deny`: nobody may send.',
    'deny',
  ],
  'acl.targets[].traffic': [
    'What is judged: what the router forwards, or what it sends itself (`own`; nftables and iptables).',
    'own',
  ],
  'acl.targets[].site': ['Only hosts of this site are in the list. Absent: of all sites.', 'branch'],
  'acl.targets[].path': [
    'Where to write it. Absent: `acl/` in the data directory.',
    '/var/lib/rogue-smtp/acl',
  ],
  'acl.targets[].hook': [
    'A program and its arguments, run without a shell when the list has changed, with the diff on stdin. `{file}`, `{revision}`, `{target}` and `{family}` are filled in.',
    '[/usr/local/bin/reload-acl, "{file}"]',
  ],
  'acl.targets[].hook_timeout': ['How long the hook may take.', '30s', DURATION],
  'acl.targets[].push': [
    'How the list gets to its router over SSH. Absent: nothing is ever sent to a router.',
  ],
  'acl.targets[].push.host': ['Name or address of the router.', 'edge1.example.net'],
  'acl.targets[].push.port': [
    'Port of SSH or NETCONF; many Junos devices have NETCONF on 830.',
    '830',
    'port',
  ],
  'acl.targets[].push.username': ['User on the router.', 'rogue-smtp'],
  'acl.targets[].push.password_file': [
    'File whose only line is the password.',
    '/etc/rogue-smtp/edge1.password',
  ],
  'acl.targets[].push.password_env': ['Environment variable that holds the password.', 'EDGE1_PASSWORD'],
  'acl.targets[].push.key_file': ['Private key for SSH.', '/etc/rogue-smtp/id_ed25519'],
  'acl.targets[].push.passphrase_file': [
    'File whose only line is the passphrase of the key.',
    '/etc/rogue-smtp/passphrase',
  ],
  'acl.targets[].push.enable_file': [
    'File with the enable password, for routers that do not let the user in with all rights.',
    '/etc/rogue-smtp/enable',
  ],
  'acl.targets[].push.enable_env': ['Environment variable that holds the enable password.', 'EDGE1_ENABLE'],
  'acl.targets[].push.host_key': [
    'Fingerprints of the router, as `ssh-keyscan HOST | ssh-keygen -lf -` shows them. Any other is refused.',
    '["SHA256:2Zj0yQ0pJr7m0pXb2wVd7mJw0Tq2lq3zq8r4m1pTn5k"]',
  ],
  'acl.targets[].push.confirm': [
    'The router takes the change back when it was not confirmed within so long.',
    '5m',
    DURATION,
  ],
  'acl.targets[].push.timeout': ['For each answer of the router.', '30s', DURATION],

  kafka: ['Streams on Kafka, so that roles can run as processes of their own.'],
  'kafka.brokers': [
    'Some brokers. Empty: the process keeps the streams itself, on disk.',
    '["kafka-1.example.net:9092"]',
    'host:port',
  ],
  'kafka.client_id': ['Name of this program for the brokers.', 'rogue-smtp'],
  'kafka.ssl': ['`true`: TLS with the authorities of the system. Or files in PEM.', 'true'],
  'kafka.ssl.ca': ['File with the authorities, in PEM.', '/etc/rogue-smtp/ca.pem'],
  'kafka.ssl.cert': ['File with the certificate of this client, in PEM.', '/etc/rogue-smtp/client.pem'],
  'kafka.ssl.key': ['File with its private key, in PEM.', '/etc/rogue-smtp/client.key'],
  'kafka.ssl.server_name': ['Name that the certificate of the brokers must have.', 'kafka.example.net'],
  'kafka.sasl': ['How this program authenticates to the brokers. Absent: not at all.'],
  'kafka.sasl.mechanism': ['Mechanism.', 'scram-sha-512'],
  'kafka.sasl.username': ['User.', 'rogue-smtp'],
  'kafka.sasl.password': ['Password; better in `password_file`.', 'use-a-long-random-text'],
  'kafka.sasl.password_file': ['File whose only line is the password.', '/etc/rogue-smtp/kafka.password'],
  'kafka.topic_prefix': ['Before the names of topics and consumer groups.', 'rogue-smtp'],
  'kafka.topics': ['The topics that `migrate` creates.'],
  'kafka.topics.flows': ['All flows, for the archive.'],
  'kafka.topics.mail': ['Flows on mail ports, for detectors.'],
  'kafka.topics.alerts': ['Alerts.'],
  'kafka.topics.incidents': ['Newest state of each incident; compacted, with as many partitions as `mail`.'],
  'kafka.topics.decisions': ['What people decided about hosts; compacted.'],
  'kafka.topics.flows.name': ['Name of the topic. Absent: the prefix, a dot and `flows`.', 'flows'],
  'kafka.topics.flows.partitions': ['Partitions.', '6', COUNT],
  'kafka.topics.flows.retention': ['How long messages are kept.', '24h', DURATION],
  'kafka.topics.mail.name': ['Name of the topic. Absent: the prefix, a dot and `mail`.', 'mail'],
  'kafka.topics.mail.partitions': [
    'Partitions: detection scales up to so many detectors. A later change sends hosts to other detectors.',
    '6',
    COUNT,
  ],
  'kafka.topics.mail.retention': ['How long messages are kept.', '24h', DURATION],
  'kafka.topics.alerts.name': ['Name of the topic. Absent: the prefix, a dot and `alerts`.', 'alerts'],
  'kafka.topics.alerts.partitions': ['Partitions.', '1', COUNT],
  'kafka.topics.alerts.retention': ['How long messages are kept.', '30d', DURATION],
  'kafka.topics.incidents.name': [
    'Name of the topic. Absent: the prefix, a dot and `incidents`.',
    'incidents',
  ],
  'kafka.topics.decisions.name': [
    'Name of the topic. Absent: the prefix, a dot and `decisions`.',
    'decisions',
  ],
  'kafka.replication': ['Copies of each topic. Absent: 3, or as many as there are brokers.', '3', COUNT],
  'kafka.acks': [
    'What a publication of flows waits for: all replicas in sync, or the leader only.',
    'leader',
  ],
  'kafka.compression': ['Compression of messages.', 'gzip'],

  clickhouse: ['Where flows, alerts and incidents are kept.'],
  'clickhouse.url': [
    'A ClickHouse server. Empty: the embedded engine, in the data directory.',
    '"http://127.0.0.1:8123"',
    'URL',
  ],
  'clickhouse.database': ['Database.', 'rogue_smtp'],
  'clickhouse.listen': [
    'Read-only SQL over the HTTP protocol of ClickHouse at this address, for tools that cannot be given a path. Absent: only at `/clickhouse` of `http.listen`.',
    '"127.0.0.1:8124"',
    'address with port',
  ],
  'clickhouse.username': ['User on the server.', 'rogue_smtp'],
  'clickhouse.password': ['Password; better in `password_file`.', 'use-a-long-random-text'],
  'clickhouse.password_file': [
    'File whose only line is the password.',
    '/etc/rogue-smtp/clickhouse.password',
  ],
  'clickhouse.ca_file': [
    'Authorities of an https URL, in PEM. Absent: those of the system.',
    '/etc/rogue-smtp/ca.pem',
  ],
  'clickhouse.cluster': ['Tables on a cluster, made by `migrate` and replicated. Absent: on one server.'],
  'clickhouse.cluster.name': ['Name of the cluster.', 'main'],
  'clickhouse.cluster.sharded': [
    '`true`: rows are spread over the shards. `false`: every replica has all.',
    'true',
  ],
  'clickhouse.compression': ['gzip on the way to the server and back, for a slow line.', 'true'],
  'clickhouse.retention': ['How long rows are kept.'],
  'clickhouse.retention.flows': ['Flows.', '30d', DURATION],
  'clickhouse.retention.mail': ['Mail sessions.', '90d', DURATION],
  'clickhouse.retention.incidents': ['Incidents and alerts.', '365d', DURATION],

  http: ['The API, metrics and block lists.'],
  'http.listen': [
    'Address of the API, metrics and block lists. To listen beyond loopback, set a token.',
    '"0.0.0.0:9025"',
    'address with port',
  ],
  'http.token': [
    'Needed of every client when set, at least 16 characters; better in `token_file`.',
    'use-a-long-random-text',
  ],
  'http.token_file': ['File whose only line is the token.', '/etc/rogue-smtp/token'],

  'http.tokens': [
    'A token for each person or program, beside `token`, which may do everything. The audit log names whose token it was.',
    '[{ name: grafana, role: read, token_file: /etc/rogue-smtp/grafana.token }]',
  ],
  'http.tokens[].name': ['Whose token it is.', 'grafana'],
  'http.tokens[].role': [
    '`read`: sees everything. `decide`: also decides about blocks. `admin`: also reloads the configuration.',
    'read',
  ],
  'http.tokens[].token': [
    'The token, at least 16 characters; better in `token_file`.',
    'use-a-long-random-text',
  ],
  'http.tokens[].token_file': ['File whose only line is the token.', '/etc/rogue-smtp/grafana.token'],
  'http.tls': ['HTTPS with these files. They are read again when they change.'],
  'http.tls.cert_file': ['Certificate with its chain, in PEM.', '/etc/rogue-smtp/cert.pem'],
  'http.tls.key_file': ['Private key, in PEM.', '/etc/rogue-smtp/key.pem'],
  'http.kiosk': ['Show the overview and its chart without a token, for a screen on the wall.', 'true'],

  notify: [
    'Who gets alerts, how, and which ones.',
    '[{ type: webhook, name: chat, form: slack, url_file: /etc/rogue-smtp/slack.url }]',
  ],
  'notify[].type': ['How messages are sent.', 'webhook'],
  'notify[].name': ['Name of the target.', 'chat'],
  'notify[].kinds': ['Kinds of alerts that are sent.', '[opened, escalated, coverage]'],
  'notify[].grade': ['Alerts about incidents are sent from this grade on.', 'conversed'],
  'notify[].sites': ['Only alerts about hosts of these sites. Absent: all alerts.', '[branch]'],
  'notify[].groups': ['Only alerts about hosts of these `alerts.groups`. Absent: all alerts.', '[guests]'],
  'notify[].ports': [
    'Only alerts about hosts that used one of these TCP ports. Absent: all alerts.',
    '[25]',
    'ports',
  ],
  'notify[].digest': ['Collect alerts and send them as one message. Absent: each by itself.'],
  'notify[].digest.every': ['How long after the first alert that waits.', '1h', DURATION],
  'notify[].digest.except_grade': ['Alerts of this grade or higher are sent at once all the same.', 'bulk'],
  'notify[].outbreak': [
    'Many new hosts within a short time are one message, which is sent again with the new count.',
  ],
  'notify[].outbreak.hosts': ['So many incidents opened within `window` are an outbreak.', '10', COUNT],
  'notify[].outbreak.window': ['The outbreak is over when no host was added for so long.', '10m', DURATION],
  'notify[].outbreak.update': ['A new count is sent at most so often.', '15m', DURATION],
  'notify[].quiet_hours': ['Nothing is sent within these hours; one summary follows. Absent: none.'],
  'notify[].quiet_hours.from': ['Begin, a time of day in quotes.', '"22:00"', 'time of day'],
  'notify[].quiet_hours.to': ['End; before `from`: of the next day.', '"06:00"', 'time of day'],
  'notify[].quiet_hours.time_zone': ['Time zone of both.', 'Europe/Berlin'],
  'notify[].quiet_hours.except_grade': ['Alerts of this grade or higher are sent all the same.', 'bulk'],
  'notify[].repeat': [
    'Send an incident again until somebody acknowledges it, decides about it, or it closes. Absent: never.',
  ],
  'notify[].repeat.every': ['How often.', '1h', DURATION],
  'notify[].repeat.grade': ['Of incidents of this grade or higher.', 'bulk'],
  'notify[].repeat.most': ['At most so many times.', '20', COUNT],
  'notify[].queue': [
    'Messages that wait on disk at most; then the oldest is dropped and reported.',
    '1000',
    COUNT,
  ],
  'notify[].max_age': ['A message that waited for so long is dropped and reported.', '3d', DURATION],
  'notify[].report_after': [
    'A target that has failed for so long is reported through the other targets.',
    '5m',
    DURATION,
  ],
  'notify[].timeout': ['For one attempt to send.', '10s', DURATION],
  'notify[].url': [
    'Of `webhook`: where messages are posted. Either this or `url_file`.',
    '"https://ntfy.example.net/mail"',
  ],
  'notify[].url_file': ['Of `webhook`: file whose only line is the URL.', '/etc/rogue-smtp/slack.url'],
  'notify[].form': ['What the receiver understands.', 'slack'],
  'notify[].secret_file': [
    'Of `webhook`: file whose only line is the key that signs each request (HMAC-SHA256).',
    '/etc/rogue-smtp/webhook.key',
  ],
  'notify[].token_file': [
    'Of `webhook`: file whose only line is a token, sent as `Authorization: Bearer`.',
    '/etc/rogue-smtp/webhook.token',
  ],
  'notify[].routing_key_file': [
    'Of `webhook` with `form: pagerduty`: file whose only line is the integration key.',
    '/etc/rogue-smtp/pagerduty.key',
  ],
  'notify[].ca_file': [
    'Authorities of the receiver, in PEM. Absent: those of the system.',
    '/etc/rogue-smtp/ca.pem',
  ],
  'notify[].host': ['Of `mail` and `syslog`: the server.', 'mail.example.org'],
  'notify[].port': [
    'Of `mail` and `syslog`: its port. Absent: 587, or 465 with `tls: implicit`; of syslog 514, or 6514 with TLS.',
    '587',
    'port',
  ],
  'notify[].tls': [
    'Of `mail`. `starttls`: refuse a server without it. `opportunistic`: use it where the server has it. `implicit`: TLS from the start.',
    'implicit',
  ],
  'notify[].username': ['Of `mail`: user on the server.', 'rogue-smtp'],
  'notify[].password_file': [
    'Of `mail`: file whose only line is the password.',
    '/etc/rogue-smtp/mail.password',
  ],
  'notify[].from': ['Of `mail`: sender.', 'rogue-smtp@example.org'],
  'notify[].to': ['Of `mail`: recipients.', '[noc@example.org]', 'mail addresses'],
  'notify[].transport': ['Of `syslog`.', 'tls'],
  'notify[].facility': ['Of `syslog`: number of the facility; 16 is local0.', '16', COUNT],
  'notify[].command': [
    'Of `exec`: a program and its arguments, run without a shell, with the message as JSON on its standard input.',
    '[/usr/local/bin/page-me]',
  ],

  canary: [
    'A flow that the service sends to its own listener, to see whether its alert comes (docs/commands.md).',
  ],
  'canary.every': ['How often. Absent: only by `rogue-smtp canary`.', '5m', DURATION],
  'canary.timeout': [
    'An alert that takes longer counts as missing, which is an alert of kind `coverage`.',
    '30s',
    DURATION,
  ],

  spool: ['What waits on disk while the store or the brokers are away.'],
  'spool.max_bytes': ['Bound for each stream; what is over it is dropped and counted.', '4GiB', BYTES],
  log: ['The log, on stderr.'],
  'log.level': ['How much to log.', 'debug'],
  data: ['Directory for everything that is kept.', '/var/lib/rogue-smtp', 'path'],
};

/** By path; `[]` stands for any entry of a list. */
export const KEY_WORDS: ReadonlyMap<string, KeyWords> = new Map(
  Object.entries(ROWS).map(([path, [text, example, unit]]) => [
    path,
    { text, ...(example !== undefined && { example }), ...(unit !== undefined && { unit }) },
  ]),
);
