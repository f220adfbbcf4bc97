/**
 * The configuration: every key, its meaning, its default. Nothing else in the program holds a default.
 *
 * Only `networks` and `senders` are really the operator's to say; the rest has a working default. Unknown keys are
 * errors, since a mistyped safety setting that is silently ignored is worse than a refusal to start.
 */

import { z } from 'zod';
import { MAX_OFFENDERS } from '../acl/model.ts';
import { ACL_FORMS, ACL_KINDS, ACL_PLATFORMS, ACL_TRAFFIC, WITHOUT_SENDERS } from '../acl/platforms.ts';
import { LEASE_FORMATS } from '../identity/leases.ts';
import { ROLES } from '../messages/access-role.ts';
import { gradeSchema } from '../messages/alert.ts';
import { notifySchema } from './notify.ts';
import {
  brokerAddress,
  dnsServer,
  duration,
  isListUrl,
  name,
  port,
  positive,
  prefix,
  prefixOrName,
  size,
  socketAddress,
} from './values.ts';

const DAY_MS = 86_400_000;

const words = z.string().max(200);
const time = z.iso.datetime({ offset: true, error: 'expected a time such as 2027-12-31T00:00:00Z' });

const collector = z
  .strictObject({
    listen: z.array(socketAddress).min(1).prefault(['0.0.0.0:2055', '0.0.0.0:4739', '0.0.0.0:6343']),
    /** Prefixes whose datagrams are taken. Empty: everyone's, which is safe only on a management network. */
    exporters: z.array(prefix).prefault([]),
    /** Asked of the kernel for each socket; it gives at most net.core.rmem_max, unless this process has CAP_NET_ADMIN. */
    receive_buffer: size.prefault('64MiB'),
    /**
     * Several collectors share the ports of `listen`, each a process with a data directory of its own; the kernel keeps an
     * exporter's socket at one of them. Needs Linux; with `receiver: node` Node 22.12 or newer.
     */
    reuse_port: z.boolean().default(false),
    /**
     * `auto`: many datagrams in one call, where Linux and the optional npm package koffi allow it, else one by one. `node`: one
     * by one through Node's own sockets, which takes more CPU.
     */
    receiver: z.enum(['auto', 'node']).default('auto'),
    /**
     * Threads that receive and decode. Each has a socket of its own on every port; the kernel gives all datagrams of one source
     * address to one thread. More than one needs `receiver: auto` and koffi, and is not for `reuse_port`. `limits` hold for each.
     */
    threads: positive.max(32).default(1),
    /** `all`: every flow goes to the store. `mail`: only flows on mail ports. */
    archive: z.enum(['all', 'mail']).default('all'),
    /**
     * Of packets and records with a tunnel (GRE, IP in IP, VXLAN, GENEVE, GTP-U and others): `inner` makes a row of the packet
     * inside, `outer` of the tunnel, `both` of each. Mail inside of a tunnel is seen with `inner` and `both` only.
     */
    tunnels: z.enum(['inner', 'outer', 'both']).default('inner'),
    /** Templates are kept per exporter address and domain; set where several exporters share one address (NAT). */
    template_scope: z.enum(['address', 'address_port']).default('address'),
    /** A batch of flows leaves at this size or age, whichever comes first. */
    batch_rows: positive.max(65536).default(8192),
    batch_age: duration.prefault('200ms'),
    /**
     * With Kafka and `archive: all`: size and age at which flows leave for the archive. A message is one insert of the
     * store, which takes few large ones better. Mail does not wait for it. What waits is lost, and counted, when the
     * collector is killed.
     */
    archive_rows: positive.max(32_768).default(32_768),
    archive_age: duration.prefault('1s'),
    limits: z
      .strictObject({
        exporters: positive.default(4096),
        templates_per_exporter: positive.default(1024),
        templates: positive.default(32_768),
        fields_per_template: positive.default(512),
        /** Data that waits for its template, in total, and for how long. */
        pending: size.prefault('16MiB'),
        pending_age: duration.prefault('5m'),
        /** Of one exporter, before anything is decoded. Absent: no limit. A v5 or v9 datagram holds about 30 flows. */
        datagrams_per_second: positive.optional(),
      })
      .prefault({}),
  })
  .refine(({ threads, reuse_port }) => threads === 1 || !reuse_port, {
    error: 'more than one thread and reuse_port exclude each other: both share the port',
    path: ['threads'],
  });

const networks = z.strictObject({
  internal: z.array(prefix).min(1).prefault(['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7']),
  /** Addresses that many hosts share behind NAT or CGNAT: they raise alerts and are never blocked. */
  nat: z.array(prefix).prefault([]),
  /**
   * Interfaces of routers that face the outside, by SNMP index. An internal source that comes in by one is somebody
   * else's: no evidence against the host. Others, and records that do not tell, are believed.
   */
  interfaces: z
    .array(
      z.strictObject({
        exporters: z.array(prefix).min(1),
        outside: z.array(z.number().int().positive().max(0xffff_ffff)).min(1),
      }),
    )
    .default([]),
  sites: z
    .array(
      z.strictObject({
        name,
        vrf: z.number().int().nonnegative().optional(),
        exporters: z.array(prefix).optional(),
      }),
    )
    .default([]),
});

const sender = z.strictObject({
  name,
  /** Addresses, prefixes and DNS names, which are resolved as `dns` says; the same in `to`. */
  hosts: z.array(prefixOrName).min(1),
  /** `any`, or the only destinations this sender may use (a smarthost). */
  to: z
    .union(
      [z.literal('any'), z.array(prefixOrName).min(1)],
      'expected any, or a list of addresses, prefixes or DNS names',
    )
    .default('any'),
  /** Names of `lists` whose entries are destinations too. */
  to_lists: z.array(name).default([]),
  /** Others hand it mail, so that a policy list lets mail to it through. Default: yes, but for a network with `to`. */
  receives: z.boolean().optional(),
  /** Names of `networks.sites` in which this sender is: an equal address of another site is another host. Absent: everywhere. */
  sites: z.array(name).min(1).optional(),
  owner: words.default(''),
  reason: words.default(''),
  /** The permission ends at this time. */
  until: time.optional(),
});

/**
 * A host that is no sender and talks SMTP all the same, such as a monitor: what it does is reported once, and what it does beyond
 * that like that of any other host.
 */
const expected = z.strictObject({
  name,
  hosts: z.array(prefixOrName).min(1),
  /** `any`, or the only destinations that the host does this with. */
  to: z
    .union(
      [z.literal('any'), z.array(prefixOrName).min(1)],
      'expected any, or a list of addresses, prefixes or DNS names',
    )
    .default('any'),
  /**
   * `check`: greetings, also over TLS. `verify`: addresses as well, and no message. `send`: messages to the destinations of
   * `to`, and not in bulk.
   */
  does: z.enum(['check', 'verify', 'send']),
  /** Names of `networks.sites` at which this holds, as of a sender. Absent: everywhere. */
  sites: z.array(name).min(1).optional(),
  owner: words.default(''),
  reason: words.default(''),
  /** The declaration ends at this time. */
  until: time.optional(),
});

/** A key that grades went by before they went by payload: said in words, since a file of an earlier version may have it. */
const gone = () =>
  z
    .never({
      error:
        'is gone: grades go by octets of payload now, not by packets and headers. Remove it, or set detection.conversed.plain_payload_bytes (octets without headers)',
    })
    .optional();

const detection = z.strictObject({
  ports: z.array(port).min(1).default([25]),
  submission: z
    .strictObject({
      ports: z.array(port).default([465, 587, 2525]),
      alert: z.boolean().default(false),
      /**
       * A host is reported from so many different servers outside on, or so many sessions, within the window; a server that never
       * answered counts half. Mail programs of people stay far below: one to five providers of a few addresses each.
       */
      servers: positive.max(1000).default(20),
      sessions: positive.max(10_000).default(300),
      window: duration.refine((ms) => ms <= DAY_MS, 'expected at most 24h').prefault('1h'),
      /** An address of `networks.nat`, and an IPv6 /64 that counts as one host, may have so many times as much. */
      nat_factor: positive.max(100).default(10),
    })
    .prefault({}),
  /**
   * Port 25 between internal hosts, to a server that is no authorised sender. Off: such flows are no evidence. On: they
   * raise alerts, and never lead to a block, since an ACL at the edge would not see them.
   */
  internal: z.strictObject({ alert: z.boolean().default(false) }).prefault({}),
  /** An internal host that answers SMTP sessions from outside and is no configured sender: a finding a day, no block. */
  inbound: z.strictObject({ alert: z.boolean().default(false), sources: positive.default(2) }).prefault({}),
  /**
   * An authorised sender that talks to `factor` times as many servers in an hour as in 95 % of its hours within four
   * weeks, and to at least `min_destinations`: a finding a day, never a block. Judged from `history` hours on.
   */
  baseline: z
    .strictObject({
      alert: z.boolean().default(false),
      factor: z.number().min(1).default(3),
      min_destinations: positive.default(50),
      history: positive.default(24),
    })
    .prefault({}),
  /** Records of one 5-tuple that are no further apart belong to one session. */
  session_timeout: duration.prefault('5m'),
  /**
   * What counts as `conversed`: octets of payload, headers not counted, in the client's half of one session. Without TLS; over
   * TLS, where several sessions must be so large; and what no check reaches whatever it does.
   */
  conversed: z
    .strictObject({
      plain_payload_bytes: positive.default(260),
      tls_payload_bytes: positive.default(1040),
      any_payload_bytes: positive.default(3500),
      packets: gone(),
      bytes: gone(),
    })
    .refine(
      (bounds) =>
        bounds.plain_payload_bytes <= bounds.tls_payload_bytes &&
        bounds.tls_payload_bytes <= bounds.any_payload_bytes,
      'expected plain_payload_bytes <= tls_payload_bytes <= any_payload_bytes',
    )
    .prefault({}),
  /** What counts as `bulk`: sessions that may have carried a message, or their destinations, within the window. */
  bulk: z
    .strictObject({
      sessions: positive.default(100),
      destinations: positive.default(20),
      /**
       * Destinations of sessions that only told addresses: refused mail, or addresses that are verified. Never blocked for this
       * unless a person approves it.
       */
      envelope_destinations: positive.default(100),
      window: duration.prefault('10m'),
    })
    .prefault({}),
  /** From so many destinations within `bulk.window`, with nothing carried to them, a host is said to be scanning. */
  scanning: z.strictObject({ destinations: positive.default(20) }).prefault({}),
  /**
   * 64: all addresses of an IPv6 /64 are one host, since a host with privacy addresses changes its own. See
   * `block.ipv6` for what is blocked then. On Kafka collectors and detectors must say the same.
   */
  ipv6_group: z.union([z.literal(64), z.literal(128)], 'expected 64 or 128').default(128),
  /** An incident closes when nothing new was seen for so long. */
  quiet: duration.prefault('24h'),
  /** An open incident is reported at most so often when it merely goes on. */
  update_interval: duration.prefault('1h'),
  /** Hosts with incidents that are kept in memory. Absent: as many as a quarter of the memory holds, at most a million. */
  max_hosts: positive.optional(),
  max_sessions: positive.default(1_000_000),
});

/** Who is told of an incident. One below its grade raises no alert; it is shown, and blocked by `block`, all the same. */
const alerts = z.strictObject({
  /** From this grade on. */
  grade: gradeSchema.default('attempted'),
  /** The same for groups of hosts, such as a guest network: the first that has the host decides. */
  groups: z
    .array(
      z
        .strictObject({
          name,
          hosts: z.array(prefix).min(1).optional(),
          /** Names of `networks.sites`; with `hosts` as well, a host must be in both. */
          sites: z.array(name).min(1).optional(),
          grade: gradeSchema,
        })
        .refine(
          ({ hosts, sites }) => hosts !== undefined || sites !== undefined,
          'expected hosts, sites, or both',
        ),
    )
    .max(1000)
    .default([]),
});

const block = z.strictObject({
  mode: z.enum(['observe', 'propose', 'publish']).default('observe'),
  grade: gradeSchema.default('conversed'),
  /** Block hosts that scan (`detection.scanning`), too. Their SYNs alone may be forged by others. */
  scanners: z.boolean().default(false),
  ttl: duration.prefault('24h'),
  /** How long the network leases an address (DHCP): no block lasts longer, whatever `ttl` says. */
  lease: duration.optional(),
  /**
   * With `detection.ipv6_group: 64`. `hosts`: the addresses with evidence of their own, for `ipv6_ttl` after it. `prefix`:
   * the whole /64, unless a sender, a never-block entry or something not internal lies in it.
   */
  ipv6: z.enum(['hosts', 'prefix']).default('hosts'),
  ipv6_ttl: duration.prefault('4h'),
  /**
   * Before any declared sender was seen at work, `senders` may name the wrong addresses. `hold`: a running service blocks nothing
   * unasked until one is seen. `publish`: it does, for networks where the mail servers are out of sight of all exporters.
   */
  unseen_senders: z.enum(['hold', 'publish']).default('hold'),
  /** Addresses, prefixes and DNS names that never get into an ACL, whatever they do. */
  never: z.array(prefixOrName).prefault([]),
  /** Names of `lists` whose entries never get into an ACL either. */
  never_lists: z.array(name).default([]),
  max_entries: positive.max(MAX_OFFENDERS).default(500),
  max_new_per_hour: positive.default(50),
  /** New hosts that the lists take in at once. More are held back until they are approved by hand. */
  max_change: positive.default(50),
  /**
   * After a block was published, records of what began this much later tell whether it works. Longer than routers need to
   * fetch a list.
   */
  grace: duration.prefault('5m'),
});

/** Where a list of prefixes comes from: one of `file` and `url`. */
const list = z
  .strictObject({
    name,
    /** Beside the configuration, unless absolute. */
    file: z.string().min(1).optional(),
    /** Fetched by each running process for itself; the last good copy is kept in the data directory. */
    url: z
      .string()
      .max(2000)
      .refine(isListUrl, 'expected an http or https URL without user and password')
      .optional(),
    /** How often the URL is asked. */
    interval: duration.refine((ms) => ms >= 1000, 'expected at least 1s').prefault('1h'),
    /** What was not written, or not confirmed by the URL, for so long is told as stale. Default: 30d, of a URL 1d. */
    stale_after: duration.optional(),
  })
  .refine(({ file, url }) => (file === undefined) !== (url === undefined), 'expected one of file and url')
  .transform((entry) => ({
    ...entry,
    stale_after: entry.stale_after ?? (entry.url === undefined ? 30 * DAY_MS : DAY_MS),
  }));

/** How DNS names in `senders`, `expected` and `block.never` are resolved. */
const dns = z.strictObject({
  /** Empty: those of the machine (resolv.conf). */
  servers: z.array(dnsServer).max(8).prefault([]),
});

const blocklistZone = z
  .string()
  .max(200)
  .regex(
    /^(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)+[A-Za-z]{2,}\.?$/,
    'expected the name of a list such as zen.spamhaus.org',
  )
  .transform((text) => text.toLowerCase().replace(/\.$/, ''));

/** Addresses that are asked for; each list gets a question for each of them. */
const MAX_WATCHED = 1024;

/** DNS blocklists that are asked whether own public addresses are on them. */
const blocklists = z.strictObject({
  /** Public addresses, and prefixes of at most 256 addresses. None: nothing is asked. */
  addresses: z
    .array(prefix.refine(({ length }) => length >= 120, 'expected at most 256 addresses, such as a /24'))
    .refine(
      (prefixes) => prefixes.reduce((sum, { length }) => sum + 2 ** (128 - length), 0) <= MAX_WATCHED,
      `expected at most ${MAX_WATCHED} addresses in all`,
    )
    .prefault([]),
  /** Names of lists, each with what its codes mean where that is not known. */
  zones: z
    .array(
      z.union([
        blocklistZone.transform((zone) => ({ zone, codes: {} })),
        z.strictObject({
          zone: blocklistZone,
          codes: z
            .record(z.string().regex(/^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/), z.string().max(200))
            .default({}),
        }),
      ]),
    )
    .max(32)
    .prefault([]),
  /** DNS servers that ask for us. Public resolvers are refused by most lists. Empty: those of the machine (resolv.conf). */
  servers: z.array(dnsServer).max(8).prefault([]),
  every: duration.refine((ms) => ms >= 1000, 'expected at least 1s').prefault('30m'),
});

/** Files that tell who a host was; commands read them when they show hosts. */
const identity = z.strictObject({
  /** What DHCP servers write about their leases. */
  leases: z
    .array(
      z.strictObject({
        file: z.string().min(1),
        format: z.enum(LEASE_FORMATS),
        /** Minutes east of UTC of the clock that wrote the file; only Windows writes local times. */
        zone: z.number().int().min(-720).max(840).default(0),
      }),
    )
    .max(32)
    .default([]),
  /** CSV with the columns "prefix" and "owner". */
  owners: z.string().min(1).optional(),
});

/** When a gap in what the collector sees becomes an alert of kind `coverage`. */
const coverage = z.strictObject({
  /** An exporter that sent for once and then not for so long. Longer than its active timeout and template refresh. */
  silent_after: duration.prefault('10m'),
  /** Share of flows (or datagrams) lost within `interval`, 0 to 1. */
  loss: z.number().min(0).max(1).default(0.01),
  /** Losses are judged over, and each cause is told at most once in, so long. */
  interval: duration.prefault('5m'),
});

/** Platforms whose routers can take a change back by themselves, and which a push therefore exists for. */
export const PUSH_PLATFORMS = ['cisco-ios', 'cisco-iosxr', 'arista-eos', 'junos'] as const;
export type PushPlatform = (typeof PUSH_PLATFORMS)[number];

/** How a list gets to its router over SSH. Absent, as by default: nothing is ever sent to a router. */
const push = z.strictObject({
  host: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9.:-]{0,252}$/, 'expected a host name or an address'),
  /** 22, where NETCONF is a subsystem as well; many Junos devices have it on 830. */
  port: port.default(22),
  username: z.string().regex(/^[\x21-\x7e]{1,64}$/, 'expected 1 to 64 characters of ASCII, without spaces'),
  /** The secret is never in this file: in another whose only line it is, in a variable, or it is a private key. */
  password_file: z.string().optional(),
  password_env: z.string().optional(),
  key_file: z.string().optional(),
  passphrase_file: z.string().optional(),
  /** For routers that do not let the user in with all rights. */
  enable_file: z.string().optional(),
  enable_env: z.string().optional(),
  /** As `ssh-keyscan HOST | ssh-keygen -lf -` shows them; any other is refused. */
  host_key: z
    .array(z.string().regex(/^SHA256:[A-Za-z0-9+/]{43}$/, 'expected SHA256: and 43 characters'))
    .min(1),
  /** The router takes the change back when it was not confirmed within so long. */
  confirm: duration.refine((ms) => ms >= 60_000 && ms <= 3_600_000, 'expected 1m to 60m').prefault('5m'),
  /** For each answer of the router. */
  timeout: duration.refine((ms) => ms >= 100 && ms <= 300_000, 'expected 100ms to 5m').prefault('30s'),
});

const acl = z.strictObject({
  /**
   * Taken from the modes of ACL files, their history and the directories made for them: "027" gives 0640 and 0750, "022"
   * 0644 and 0755, for a web server of another user. In quotes: YAML reads 022 as the number 22.
   */
  umask: z
    .string()
    .regex(/^0?[0-7]{3}$/, 'expected three octal digits in quotes, such as "027"')
    .refine((digits) => (Number.parseInt(digits, 8) & 0o600) === 0, 'would keep the owner from the files')
    .transform((digits) => Number.parseInt(digits, 8))
    .prefault('027'),
  targets: z
    .array(
      z.strictObject({
        push: push.optional(),
        /** Name of a site: only hosts of this site are in the list. Absent: hosts of all sites. */
        site: name.optional(),
        name,
        platform: z.enum(ACL_PLATFORMS),
        /** Where the platform reads more than one form of a list; default: `set` for Junos. */
        form: z.enum(ACL_FORMS).optional(),
        kind: z.enum(ACL_KINDS).default('offenders'),
        /** The LAN-facing interface, as the router calls it. */
        interface: z
          .string()
          .regex(/^[A-Za-z0-9][A-Za-z0-9._/:-]{0,62}$/, 'not an interface name')
          .optional(),
        /**
         * Of kind `policy`, for an IP version of which no sender is configured. `refuse`: there is no list. `deny`: its list says that
         * nobody may send.
         */
        without_senders: z.enum(WITHOUT_SENDERS).default('refuse'),
        /** Whose traffic is judged: what the router forwards, or what it sends itself (`own`; nftables and iptables). */
        traffic: z.enum(ACL_TRAFFIC).default('forwarded'),
        /** Where to write; default: `acl/` in the data directory. */
        path: z.string().optional(),
        /**
         * A program and its arguments, run without a shell when the list has changed, with the diff on stdin; `{file}`,
         * `{revision}`, `{target}` and `{family}` are filled in. Absent, as by default: nothing is run.
         */
        hook: z.array(z.string().min(1).max(4096)).min(1).max(64).optional(),
        hook_timeout: duration.prefault('30s'),
      }),
    )
    .default([]),
});

const topicName = z
  .string()
  .regex(/^[A-Za-z0-9._-]{1,249}$/, 'use 1 to 249 letters, digits, ".", "_" or "-"')
  .optional();
/** A topic of `migrate`; the name is by default the prefix, a dot and the name of the stream. */
const topic = (partitions: number, retention: string) =>
  z
    .strictObject({
      name: topicName,
      partitions: positive.max(1024).default(partitions),
      retention: duration.prefault(retention),
    })
    .prefault({});

const kafka = z.strictObject({
  /** `host:port` of some brokers. Empty: streams are kept by the process itself, on disk. */
  brokers: z.array(brokerAddress).default([]),
  client_id: name.default('rogue-smtp'),
  /** True for TLS with the authorities of the system; else files in PEM. */
  ssl: z
    .union([
      z.boolean(),
      z.strictObject({
        ca: z.string().optional(),
        cert: z.string().optional(),
        key: z.string().optional(),
        server_name: z.string().optional(),
      }),
    ])
    .default(false),
  sasl: z
    .strictObject({
      mechanism: z.enum(['plain', 'scram-sha-256', 'scram-sha-512']),
      username: z.string().min(1),
      /** Here, or better in a file of its own whose only line it is. */
      password: z.string().optional(),
      password_file: z.string().optional(),
    })
    .optional(),
  /** Before the names of topics and consumer groups. */
  topic_prefix: name.default('rogue-smtp'),
  topics: z
    .strictObject({
      flows: topic(6, '24h'),
      /** Detection scales up to so many detectors. A later change sends hosts to other detectors: see README. */
      mail: topic(6, '24h'),
      alerts: topic(1, '30d'),
      /** As many partitions as `mail`; compacted, so that the newest state of each host is kept for ever. */
      incidents: z.strictObject({ name: topicName }).prefault({}),
      /** The same: what operators decided about hosts. */
      decisions: z.strictObject({ name: topicName }).prefault({}),
    })
    .prefault({}),
  /** Copies of each topic that `migrate` creates. Default: 3, or as many as there are brokers. */
  replication: positive.max(32767).optional(),
  /** What a publication of flows waits for: all replicas in sync, or the leader only. */
  acks: z.enum(['all', 'leader']).default('all'),
  compression: z.enum(['lz4', 'gzip', 'none']).default('lz4'),
});

const clickhouse = z.strictObject({
  /** Empty: the embedded engine. A path is that of a proxy in front of the server. */
  url: z
    .union([
      z.literal(''),
      z.url({ protocol: /^https?$/, error: 'expected a URL such as http://127.0.0.1:8123' }),
    ])
    .default(''),
  database: z
    .string()
    .regex(/^[A-Za-z_][A-Za-z0-9_]{0,62}$/)
    .default('rogue_smtp'),
  /**
   * Read-only SQL over ClickHouse's HTTP protocol at `/` of this address, for tools that cannot be given a path; the same is
   * always at `/clickhouse` of `http.listen`. The token is `http.token`. Absent: off.
   */
  listen: socketAddress.optional(),
  username: z.string().default('default'),
  /** Here, or better in a file of its own whose only line it is. */
  password: z.string().default(''),
  password_file: z.string().min(1).optional(),
  /** Authorities in PEM that have signed the certificate of an https URL. Absent: those of the system. */
  ca_file: z.string().min(1).optional(),
  /** Tables on a cluster, made by `migrate` and replicated; its servers have the macros `shard` and `replica`. */
  cluster: z
    .strictObject({
      name: z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,62}$/, 'not the name of a cluster'),
      /** True: rows are spread over the shards. False: every replica has all. */
      sharded: z.boolean().default(false),
    })
    .optional(),
  /** gzip on the way to the server and back: for a server across a slow line, since it costs more time than a LAN saves. */
  compression: z.boolean().default(false),
  retention: z
    .strictObject({
      flows: duration.prefault('30d'),
      mail: duration.prefault('90d'),
      incidents: duration.prefault('365d'),
    })
    .prefault({}),
});

export const httpToken = z
  .string()
  .min(16, 'use at least 16 characters')
  .regex(
    /^[\x21-\x7e]*$/,
    'use letters, digits and punctuation of ASCII, without spaces: it travels in a header',
  );

const http = z.strictObject({
  listen: socketAddress.prefault('127.0.0.1:9025'),
  /** Needed of every client when set; must be set to listen beyond loopback. */
  token: httpToken.optional(),
  /** The file whose only line is the token. */
  token_file: z.string().min(1).optional(),
  /**
   * A token for each person or program, beside `token`, which may do everything. The audit log names whose token a decision came
   * with. `read`: sees everything; `decide`: also decides about blocks; `admin`: also reloads the configuration.
   */
  tokens: z
    .array(
      z.strictObject({
        name,
        role: z.enum(ROLES),
        token: httpToken.optional(),
        token_file: z.string().min(1).optional(),
      }),
    )
    .max(1000)
    .default([]),
  /** HTTPS with these files in PEM, the certificate with its chain. They are read again when they change. */
  tls: z.strictObject({ cert_file: z.string().min(1), key_file: z.string().min(1) }).optional(),
  /** True: the overview and its chart are shown without a token, for a screen on the wall. */
  kiosk: z.boolean().default(false),
});

/** A flow that the service sends to its own listener, to see whether its alert comes. It gets into no list and no archive. */
const canary = z.strictObject({
  /** How often. Absent: only by `rogue-smtp canary`. */
  every: duration.refine((ms) => ms >= 10_000, 'expected at least 10s').optional(),
  /** An alert that takes longer counts as missing, which is an alert of kind `coverage`. */
  timeout: duration.refine((ms) => ms >= 1000 && ms <= 300_000, 'expected 1s to 5m').prefault('30s'),
});

const spool = z.strictObject({
  /** Bound of what waits on disk for the store or the broker, per stream. What is over it is counted as dropped. */
  max_bytes: size.prefault('4GiB'),
});

const log = z.strictObject({
  level: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
});

export const configSchema = z.strictObject({
  collector: collector.prefault({}),
  networks: networks.prefault({}),
  senders: z.array(sender).default([]),
  /** What hosts do that are no senders: checks, verification of addresses, test mail. */
  expected: z.array(expected).max(1000).default([]),
  /** Prefixes of their own, one a line, such as what a smarthost provider publishes: from a file or from a URL. */
  lists: z.array(list).max(100).default([]),
  dns: dns.prefault({}),
  blocklists: blocklists.prefault({}),
  identity: identity.prefault({}),
  detection: detection.prefault({}),
  alerts: alerts.prefault({}),
  coverage: coverage.prefault({}),
  block: block.prefault({}),
  acl: acl.prefault({}),
  kafka: kafka.prefault({}),
  clickhouse: clickhouse.prefault({}),
  http: http.prefault({}),
  canary: canary.prefault({}),
  /** Who gets alerts, how, and which ones; see notify.ts. */
  notify: notifySchema.default([]),
  spool: spool.prefault({}),
  log: log.prefault({}),
  /** Everything that is kept lies here. */
  data: z.string().min(1).default('./data'),
});

export type Config = z.output<typeof configSchema> & {
  /** Names of lists that are used and are not there, which no file can say: nothing new is blocked or published. */
  readonly missingLists?: readonly string[];
  /** The same of DNS names that were never resolved. */
  readonly missingNames?: readonly string[];
};
export type ConfigInput = z.input<typeof configSchema>;
export type SenderConfig = Config['senders'][number];
export type DetectionConfig = Config['detection'];
export type BlockConfig = Config['block'];
export type KafkaConfig = Config['kafka'];
export type PushSettings = z.output<typeof push>;
export type AclTargetConfig = Config['acl']['targets'][number];
