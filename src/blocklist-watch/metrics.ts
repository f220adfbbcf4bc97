/** What blocklists say of our addresses, as metrics. */

import type { MetricRegistry } from '../metrics.ts';
import type { BlocklistWatch } from './watch.ts';

export function registerBlocklistMetrics(metrics: MetricRegistry, watch: BlocklistWatch): void {
  metrics.gauge('blocklist_listings', 'Own public addresses on a DNS blocklist', 'list', () => {
    const counts = new Map<string, number>();
    for (const { zone } of watch.listings()) counts.set(zone, (counts.get(zone) ?? 0) + 1);
    return counts;
  });
  metrics.gauge('blocklist_unusable', '1 for a DNS blocklist that could not be asked', 'list', () =>
    [...watch.troubles().keys()].map((zone) => [zone, 1] as const),
  );
}
