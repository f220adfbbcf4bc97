-- What is known of each exporter and observation domain. Two writers: the inserts into `flows` add the flows that were
-- stored (`run` is then 1970), and the collector writes its counters of the run every minute; within a run they only
-- grow, so the largest is the newest, and writing one twice changes nothing.
CREATE TABLE IF NOT EXISTS {{database}}.exporters
(
    `exporter` IPv6,
    `domain` UInt32,
    `version` UInt8,
    `run` DateTime64(3, 'UTC'),
    `first_seen` SimpleAggregateFunction(min, DateTime64(3, 'UTC')),
    `last_seen` SimpleAggregateFunction(max, DateTime64(3, 'UTC')),
    `flows_stored` SimpleAggregateFunction(sum, UInt64),
    `sampling_rates` SimpleAggregateFunction(groupUniqArrayArray, Array(UInt32)),
    `datagrams` SimpleAggregateFunction(max, UInt64),
    `flows` SimpleAggregateFunction(max, UInt64),
    `sequence_lost` SimpleAggregateFunction(max, UInt64),
    `sequence_reordered` SimpleAggregateFunction(max, UInt64),
    `sequence_resets` SimpleAggregateFunction(max, UInt64),
    `clock_skew_ms` SimpleAggregateFunction(anyLast, Nullable(Int64)),
    `stored_at` SimpleAggregateFunction(max, DateTime('UTC'))
)
ENGINE = AggregatingMergeTree
ORDER BY (exporter, domain, version, run)
TTL stored_at + toIntervalSecond({{retention_mail}})
SETTINGS non_replicated_deduplication_window = 1000;

CREATE MATERIALIZED VIEW IF NOT EXISTS {{database}}.exporters_from_flows TO {{database}}.exporters AS
SELECT
    exporter,
    domain,
    version,
    toDateTime64(0, 3, 'UTC') AS run,
    min(received_at) AS first_seen,
    max(received_at) AS last_seen,
    count() AS flows_stored,
    groupUniqArrayIf(sampling_rate, sampling_rate != 0) AS sampling_rates,
    max(stored_at) AS stored_at
FROM {{database}}.flows
GROUP BY exporter, domain, version;
