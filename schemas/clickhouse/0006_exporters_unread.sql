-- What of an exporter's traffic could not be read: records without an address that may be mail, and why; and what its OUT
-- counters (23, 24) turned out to mean: `post`, `reverse` or `unknown`.
ALTER TABLE {{database}}.exporters ADD COLUMN IF NOT EXISTS `unread` SimpleAggregateFunction(max, UInt64);

ALTER TABLE {{database}}.exporters ADD COLUMN IF NOT EXISTS `unread_reasons` SimpleAggregateFunction(groupUniqArrayArray, Array(String));

ALTER TABLE {{database}}.exporters ADD COLUMN IF NOT EXISTS `out_counters` SimpleAggregateFunction(anyLast, Nullable(String));
