/** The screen on the wall, read from three metres: the sentence and the chart only. */

import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { overview } from '../data/stores.ts';
import { SessionsCard } from '../parts/sessions-card.tsx';
import { Disconnected, Loaded } from '../parts/states.tsx';
import { Headline } from './overview.tsx';

const CHART_SHARE = 0.5;
const chartHeight = () => Math.max(160, Math.round(window.innerHeight * CHART_SHARE));

export function Wall() {
  const height = useSignal(chartHeight());
  useEffect(() => {
    const measure = () => {
      height.value = chartHeight();
    };
    window.addEventListener('resize', measure);
    return () => window.removeEventListener('resize', measure);
  }, []);
  return (
    <main class="wall">
      <Disconnected />
      <Loaded of={overview} rows={2}>
        {(answer) => <Headline answer={answer} plain />}
      </Loaded>
      <SessionsCard height={height.value} />
    </main>
  );
}
