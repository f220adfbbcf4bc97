/** What a router does with the FlowSpec routes of our three texts, each read by its own grammar: it drops what matches. */

import { type Flow, readAddress } from './flow.ts';
import { inPrefix, type Judge, once, REMARK, readLines, readPort } from './rules.ts';

interface Route {
  readonly source: ReturnType<typeof inPrefix>;
  readonly protocol: string;
  readonly port: number;
}

function routeOf(prefix: string, protocol: string, port: string): Route {
  if (!prefix.includes('/')) throw new Error(`no prefix length: ${prefix}`);
  return { source: inPrefix(prefix, prefix.includes(':') ? 6 : 4), protocol, port: readPort(port) };
}

const judgeOf =
  (routes: readonly Route[]): Judge =>
  (flow: Flow) =>
    routes.some(
      (route) =>
        route.source(readAddress(flow.source)) &&
        route.protocol === flow.protocol &&
        route.port === flow.port,
    )
      ? 'deny'
      : 'permit';

export function readExabgp(text: string): Judge {
  const routes = new Map<string, Route>();
  const open: string[] = [];
  let name: string | null = null;
  readLines(text.replace(/^\t+#.*\n/gm, ''), '#', [
    [/^template \{$/, () => void open.push('template')],
    [/^\tneighbor rogue-smtp-[46] \{$/, () => void open.push('neighbor')],
    [/^\t\tdescription "[a-z-]+";$/, () => {}],
    [/^\t\tflow \{$/, () => void open.push('flow')],
    [
      /^\t\t\troute ([a-z0-9-]+) \{$/,
      ([, word]) => {
        open.push('route');
        name = word;
      },
    ],
    [
      /^\t\t\t\tmatch \{ source (\S+\/\d+); protocol (tcp|udp); destination-port =(\d+); \}$/,
      ([, prefix, protocol, port]) => {
        if (open.join(' ') !== 'template neighbor flow route' || name === null)
          throw new Error('out of place');
        once(routes, name, routeOf(prefix, protocol, port));
      },
    ],
    [
      /^\t\t\t\tthen \{ discard; \}$/,
      () => {
        if (name === null || !routes.has(name)) throw new Error('drops everything');
      },
    ],
    [/^\t*\}$/, () => void open.pop()],
  ]);
  if (open.length > 0) throw new Error('not closed');
  return judgeOf([...routes.values()]);
}

export function readBird(text: string): Judge {
  const routes: Route[] = [];
  const DISCARD = 'bgp_ext_community\\.add\\(\\(generic, 0x80060000, 0x0\\)\\);';
  let family = '';
  readLines(text.replace(/^\t+#.*\n/gm, ''), '#', [
    [
      /^(flow[46]) table rogue_smtp_\1;$/,
      ([, word]) => {
        family = word;
      },
    ],
    [/^protocol static rogue_smtp_offenders[46] \{$/, () => {}],
    [/^\tflow[46] \{ table rogue_smtp_flow[46]; \};$/, () => {}],
    [
      new RegExp(
        `^\\troute (flow[46]) \\{ src (\\S+/\\d+); (proto|next header) = (6|17); dport = (\\d+); \\} \\{ ${DISCARD} \\};$`,
      ),
      ([, word, prefix, field, protocol, port]) => {
        if (word !== family || (field === 'proto') !== (word === 'flow4'))
          throw new Error('of another family');
        routes.push(routeOf(prefix, protocol === '6' ? 'tcp' : 'udp', port));
      },
    ],
    [/^\}$/, () => {}],
  ]);
  return judgeOf(routes);
}

/** The script is taken as it is but for its hosts and its rule. */
export function readGobgp(text: string): Judge {
  const found =
    /^#!\/bin\/sh\n(?:#.*\n)*set -eu\n(?:.*\n){3}cat > "\$state\.new" <<'HOSTS'\n([\s\S]*?)HOSTS\nadd\(\) \{ gobgp global rib add -a ipv([46])-flowspec (match source "\$1" protocol (tcp|udp) destination-port '==(\d+)' then discard); \}\ndel\(\) \{ gobgp global rib del -a ipv\2-flowspec \3; \}\n/.exec(
      text,
    );
  if (found === null || new RegExp(`"${REMARK}"\n`).test(found[1])) throw new Error('not the script');
  const hosts = found[1].split('\n').filter((line) => line !== '');
  return judgeOf(
    hosts.map((host) => {
      if (host.includes(':') !== (found[2] === '6')) throw new Error(`of another family: ${host}`);
      return routeOf(host, found[4], found[5]);
    }),
  );
}
