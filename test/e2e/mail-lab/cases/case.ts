/** What a case is, and how the lists of cases are written. */

/**
 * `innocent`: no message, and nothing that looks for victims. `scanner`: no message, but many servers, or what scanners of
 * relays and of TLS do. `refused`: wanted to deliver, and no server took it as far as the message. `delivering`: sends message
 * data. `authorised`: a declared sender.
 */
export type Kind = 'innocent' | 'scanner' | 'refused' | 'delivering' | 'authorised';
export type Security = 'plain' | 'starttls' | 'starttls-pq';

const PATHS = ['20ms', 'near', 'far', 'tunnel', 'lossy'] as const;
type Path = (typeof PATHS)[number];

export interface Case {
  readonly name: string;
  /** The program that speaks, for the tables. */
  readonly program: string;
  readonly kind: Kind;
  readonly security: Security;
  readonly server: string;
  readonly family: 4 | 6;
  readonly timestamps: boolean;
  /** Delay each way; `lossy` loses 1.5 % on top, `tunnel` carries packets of 1400 bytes at most. */
  readonly path: Path;
  readonly repeats: number;
  /** Runs once, before the others. */
  readonly setup?: string;
  readonly run: string;
  /** Between the runs. */
  readonly pauseMs: number;
}

export type Options = Partial<Pick<Case, 'family' | 'timestamps' | 'path' | 'repeats' | 'setup' | 'pauseMs'>>;

export type AddCase = (...of: Parameters<typeof makeCase>) => void;

/** Of a name that says the program, what it does, to which server, and what is unusual about its stack or path. */
export function makeCase(
  program: string,
  what: string,
  kind: Kind,
  security: Security,
  server: string,
  run: string,
  options: Options = {},
): Case {
  const { family = 4, timestamps = true, path = '20ms' } = options;
  const name = [
    program,
    what,
    server,
    ...(family === 6 ? ['v6'] : []),
    ...(timestamps ? [] : ['nots']),
    ...(path === '20ms' ? [] : [path]),
  ].join('-');
  // Exporters tell of a session two seconds after its end: what they say of the second one comes before the third.
  const pauseMs = kind === 'delivering' ? 5000 : 700;
  const rest = { repeats: 4, pauseMs, ...options, family, timestamps, path };
  return { name, program, kind, security, server, run, ...rest };
}

/** The same over other servers and stacks: 'postfix chain/v6 small/nots exim/lossy'. */
export function over(list: string, each: (server: string, options: Options) => void): void {
  for (const item of list.split(' ')) {
    const [server, ...marks] = item.split('/');
    each(server, {
      ...(marks.includes('v6') ? { family: 6 } : {}),
      ...(marks.includes('nots') ? { timestamps: false } : {}),
      ...PATHS.filter((path) => marks.includes(path)).map((path) => ({
        path,
        ...(path === 'lossy' ? { repeats: 6 } : {}),
      }))[0],
    });
  }
}
