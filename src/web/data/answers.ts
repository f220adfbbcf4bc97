/** What the API answers, by the types of its own schemas; nothing of them is in the page but the types. */

import type { z } from 'zod';
import type { inventoryRow } from '../../http/api/command-schemas.ts';
import type { blockRow, mark } from '../../http/api/schemas.ts';

export type {
  BlocksAnswer,
  CoverageAnswer,
  ExploreAnswer,
  ExporterLine,
  HealthAnswer,
  HostAnswer,
  HostRow,
  HostsAnswer,
  ListAnswer,
  ListDiff,
  OverviewAnswer,
  SeriesAnswer,
  SessionAnswer,
  WhatIfAnswer,
} from '../../http/api/schemas.ts';
export type { Alert } from '../../messages/alert.ts';

export type BlockRow = z.infer<typeof blockRow>;
export type Mark = z.infer<typeof mark>;

export type InventoryLine = z.infer<typeof inventoryRow>;
