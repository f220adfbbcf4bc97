/** A line of a few pixels: how something went over the last hours. Gaps stay gaps. */

const WIDTH = 72;
const HEIGHT = 18;

export function Spark(props: {
  readonly values: readonly (number | null)[];
  readonly label: string;
  readonly class?: string;
}) {
  const { values } = props;
  if (values.length === 0) return <span class="spark-none" />;
  return (
    <svg
      class={`spark ${props.class ?? ''}`}
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      role="img"
      aria-label={props.label}
    >
      <title>{props.label}</title>
      <path d={barsOf(values)} />
    </svg>
  );
}

/** All bars as one path: tables draw hundreds of them while they scroll. */
function barsOf(values: readonly (number | null)[]): string {
  const most = Math.max(1e-9, ...values.map((value) => value ?? 0));
  const step = WIDTH / values.length;
  const bar = Math.max(1, step - 0.8).toFixed(1);
  return values
    .map((value, i) => {
      if (value === null) return '';
      const height = value === 0 ? 1 : Math.max(2, (value / most) * HEIGHT);
      return `M${(i * step).toFixed(1)} ${HEIGHT}v${-height.toFixed(1)}h${bar}V${HEIGHT}z`;
    })
    .join('');
}
