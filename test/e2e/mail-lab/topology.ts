/** The servers of the lab, with their addresses and what they do. */

/** n-th host of the servers' networks. */
const v4 = (n: number) => `198.51.100.${n}`;
const v6 = (n: number) => `2001:db8:ffff::${n.toString(16)}`;

const POSTFIX = 10;
const EXIM = 11;

/** Behaviours are those of servers.py. */
const SMALL_SERVERS: Readonly<Record<string, readonly [number, string]>> = {
  plain: [20, ''],
  small: [21, 'cert:small,chunking'],
  chain: [22, 'cert:chain'],
  ec: [23, 'cert:ec'],
  big: [24, 'cert:big,long-greeting'],
  tls12: [25, 'cert:chain,tls12'],
  greylist: [26, 'cert:small,grey'],
  'refuse-connect': [27, 'refuse-connect'],
  'refuse-mail': [28, 'cert:small,refuse-mail'],
  'refuse-rcpt': [29, 'cert:small,refuse-rcpt'],
  'refuse-data': [30, 'cert:small,refuse-data'],
  'refuse-content': [31, 'cert:small,refuse-content'],
  tarpit: [32, 'cert:small,tarpit'],
  'reset-greeting': [33, 'reset-greeting'],
  'reset-ehlo': [34, 'reset-ehlo'],
  'reset-mail': [35, 'reset-mail'],
  silent: [36, 'silent'],
  auth: [37, 'cert:small,auth'],
  wordy: [38, 'long-greeting,no-pipelining'],
};

/** Thirty servers for scans: every third offers TLS with a chain. */
const SCANNED_FROM = 60;
const SCANNED = 30;

/** Servers that refuse every recipient, for bots that try them all. */
const REFUSING_FROM = 100;
const REFUSING = 24;

const SERVERS: ReadonlyMap<string, number> = new Map([
  ['postfix', POSTFIX],
  ['exim', EXIM],
  ...Object.entries(SMALL_SERVERS).map(([name, [n]]): [string, number] => [name, n]),
  ['closed', 50],
  ...Array.from({ length: SCANNED }, (_, i): [string, number] => [`mx${i}`, SCANNED_FROM + i]),
  ...Array.from({ length: REFUSING }, (_, i): [string, number] => [`no${i}`, REFUSING_FROM + i]),
]);

export function serverAddress(name: string, family: 4 | 6): string {
  const n = SERVERS.get(name);
  if (n === undefined) throw new Error(`no server ${name}`);
  return family === 4 ? v4(n) : v6(n);
}

export const allServerAddresses = (): string[] => [...SERVERS.values()].flatMap((n) => [v4(n), v6(n)]);

/** The arguments of servers.py after its files. */
export function smallServers(): string[] {
  const listed = Object.entries(SMALL_SERVERS).map(
    ([name, [n, behaviours]]) => [name, n, behaviours] as const,
  );
  const scanned = Array.from(
    { length: SCANNED },
    (_, i) =>
      [
        `mx${i}`,
        SCANNED_FROM + i,
        i % 3 === 0 ? 'cert:chain' : i % 3 === 1 ? 'cert:small' : 'long-greeting',
      ] as const,
  );
  const refusing = Array.from(
    { length: REFUSING },
    (_, i) =>
      [`no${i}`, REFUSING_FROM + i, `cert:chain,${i % 2 === 0 ? 'refuse-rcpt' : 'refuse-mail'}`] as const,
  );
  return [...listed, ...scanned, ...refusing].flatMap(([name, n, behaviours]) =>
    [v4(n), v6(n)].map((address) => `${name}=${behaviours}@${address}`),
  );
}
