/** Host, the routers that saw it with the interface, and the world: where its packets pass, and where they still do. */

import type { HostAnswer } from '../data/answers.ts';
import { shown } from '../words/shown.ts';

const ROW = 44;
const WIDTH = 560;

export function PathDrawing(props: {
  readonly host: string;
  readonly routers: HostAnswer['routers'];
  readonly blocked: boolean;
}) {
  const { host, routers, blocked } = props;
  if (routers.length === 0) return <p class="muted">No router has reported this host lately.</p>;
  const height = Math.max(1, routers.length) * ROW + 8;
  const middle = height / 2;
  const passing = routers.filter((router) => router.passing).length;
  const words =
    passing > 0
      ? `The host still gets through at ${passing} of ${routers.length} places.`
      : blocked
        ? `Blocked; no packet was seen to pass at ${routers.length === 1 ? 'the router' : `${routers.length} places`} since.`
        : `Its packets pass ${routers.length === 1 ? 'one router' : `${routers.length} places`}.`;
  return (
    <figure class="path">
      <svg viewBox={`0 0 ${WIDTH} ${height}`} role="img" aria-label={words}>
        <title>{words}</title>
        {routers.map(({ exporter, interface: port, passing: passes }, i) => {
          const y = i * ROW + ROW / 2 + 4;
          const state = passes ? 'passes' : blocked ? 'stopped' : 'open';
          return (
            <g key={`${exporter}/${port}`} class={`path-${state}`}>
              <path d={`M150 ${middle} C 175 ${middle}, 165 ${y}, 190 ${y}`} />
              <path class="path-out" d={`M400 ${y} C 425 ${y}, 425 ${middle}, 450 ${middle}`} />
              <rect x="190" y={y - 16} width="210" height="32" rx="4" />
              <text x="200" y={y + 4}>
                {shown(exporter, 28)} if {port}
              </text>
              <text x="408" y={y - 4} class="path-sign">
                {passes ? '▲' : blocked ? '■' : ''}
              </text>
            </g>
          );
        })}
        <g class="path-end">
          <rect x="2" y={middle - 16} width="148" height="32" rx="4" />
          <text x="12" y={middle + 4}>
            {shown(host, 20)}
          </text>
          <rect x="450" y={middle - 16} width="108" height="32" rx="4" />
          <text x="460" y={middle + 4}>
            world, TCP 25
          </text>
        </g>
      </svg>
      <figcaption>{words}</figcaption>
    </figure>
  );
}
