-- Every flow record as it was exported. The columns are those of src/flow/columns.ts, in its order (a test compares them).
-- Retention counts from when a row was stored, not from when it was received: the replay of an old capture stays, too.
CREATE TABLE IF NOT EXISTS {{database}}.flows
(
    `received_at` DateTime64(3, 'UTC') CODEC(DoubleDelta, LZ4),
    `exporter` IPv6 CODEC(ZSTD(1)),
    `exporter_port` UInt16 CODEC(LZ4),
    `domain` UInt32 CODEC(LZ4),
    `version` UInt8 CODEC(LZ4),
    `sequence` UInt32 CODEC(Delta, LZ4),
    `record` UInt16 CODEC(Delta, LZ4),
    `present` UInt32 CODEC(LZ4),
    `reverse` UInt8 CODEC(LZ4),
    `src_addr` IPv6 CODEC(ZSTD(1)),
    `dst_addr` IPv6 CODEC(ZSTD(1)),
    `src_port` UInt16 CODEC(ZSTD(1)),
    `dst_port` UInt16 CODEC(ZSTD(1)),
    `protocol` UInt8 CODEC(LZ4),
    `tcp_flags` UInt16 CODEC(LZ4),
    `fragment_offset` UInt16 CODEC(LZ4),
    `packets` UInt64 CODEC(T64, LZ4),
    `bytes` UInt64 CODEC(T64, LZ4),
    `start` DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    `end` DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    `in_if` UInt32 CODEC(LZ4),
    `out_if` UInt32 CODEC(LZ4),
    `sampling_rate` UInt32 CODEC(LZ4),
    `forwarding` UInt8 CODEC(LZ4),
    `direction` UInt8 CODEC(LZ4),
    `flow_end_reason` UInt8 CODEC(LZ4),
    `firewall_event` UInt8 CODEC(LZ4),
    `vrf` UInt32 CODEC(LZ4),
    `post_nat_src_addr` IPv6 CODEC(ZSTD(1)),
    `post_nat_dst_addr` IPv6 CODEC(ZSTD(1)),
    `post_nat_src_port` UInt16 CODEC(LZ4),
    `post_nat_dst_port` UInt16 CODEC(LZ4),
    `stored_at` DateTime('UTC') DEFAULT now('UTC') CODEC(DoubleDelta, LZ4)
)
ENGINE = MergeTree
PARTITION BY toYYYYMMDD(received_at)
ORDER BY (toStartOfFiveMinutes(received_at), dst_port, src_addr, received_at)
TTL stored_at + toIntervalSecond({{retention_flows}})
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000;
