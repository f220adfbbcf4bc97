-- Gaps in an exporter's sequence numbers whose size cannot be true, so that how much was lost in them is not known; and what its
-- numbers count: `nothing` where they never change, which says nothing of losses.
ALTER TABLE {{database}}.exporters ADD COLUMN IF NOT EXISTS `sequence_unknown` SimpleAggregateFunction(max, UInt64);

ALTER TABLE {{database}}.exporters ADD COLUMN IF NOT EXISTS `counting` SimpleAggregateFunction(anyLast, Nullable(String));
