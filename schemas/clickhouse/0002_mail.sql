-- Who talked SMTP with whom, kept longer than the flows. Fed by the inserts into `flows`.
-- The server is the side with the mail port, the destination when both have one. 2525 is also an ephemeral port of
-- clients of anything: as a source port it counts only towards a port that is no well-known one.

-- One row per client, server, server port, client port and hour: close to one row per TCP connection.
CREATE TABLE IF NOT EXISTS {{database}}.mail_sessions
(
    `hour` DateTime('UTC') CODEC(DoubleDelta, LZ4),
    `client` IPv6 CODEC(ZSTD(1)),
    `server` IPv6 CODEC(ZSTD(1)),
    `server_port` UInt16 CODEC(ZSTD(1)),
    `client_port` UInt16 CODEC(ZSTD(1)),
    `first_seen` SimpleAggregateFunction(min, DateTime64(3, 'UTC')) CODEC(DoubleDelta, LZ4),
    `last_seen` SimpleAggregateFunction(max, DateTime64(3, 'UTC')) CODEC(DoubleDelta, LZ4),
    `records` SimpleAggregateFunction(sum, UInt64) CODEC(T64, LZ4),
    `packets_to_server` SimpleAggregateFunction(sum, UInt64) CODEC(T64, LZ4),
    `bytes_to_server` SimpleAggregateFunction(sum, UInt64) CODEC(T64, LZ4),
    `packets_to_client` SimpleAggregateFunction(sum, UInt64) CODEC(T64, LZ4),
    `bytes_to_client` SimpleAggregateFunction(sum, UInt64) CODEC(T64, LZ4),
    `flags_to_server` SimpleAggregateFunction(groupBitOr, UInt16) CODEC(LZ4),
    `flags_to_client` SimpleAggregateFunction(groupBitOr, UInt16) CODEC(LZ4),
    `exporters` SimpleAggregateFunction(groupUniqArrayArray, Array(IPv6)) CODEC(ZSTD(1)),
    `stored_at` SimpleAggregateFunction(max, DateTime('UTC')) CODEC(DoubleDelta, LZ4)
)
ENGINE = AggregatingMergeTree
PARTITION BY toMonday(hour)
ORDER BY (client, server_port, hour, server, client_port)
TTL stored_at + toIntervalSecond({{retention_mail}})
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000;

CREATE MATERIALIZED VIEW IF NOT EXISTS {{database}}.mail_sessions_from_flows TO {{database}}.mail_sessions AS
WITH dst_port IN (25, 465, 587, 2525) AS to_server
SELECT
    toStartOfHour(received_at) AS hour,
    if(to_server, src_addr, dst_addr) AS client,
    if(to_server, dst_addr, src_addr) AS server,
    if(to_server, dst_port, src_port) AS server_port,
    if(to_server, src_port, dst_port) AS client_port,
    min(received_at) AS first_seen,
    max(received_at) AS last_seen,
    count() AS records,
    sumIf(packets, to_server) AS packets_to_server,
    sumIf(bytes, to_server) AS bytes_to_server,
    sumIf(packets, NOT to_server) AS packets_to_client,
    sumIf(bytes, NOT to_server) AS bytes_to_client,
    groupBitOrIf(tcp_flags, to_server) AS flags_to_server,
    groupBitOrIf(tcp_flags, NOT to_server) AS flags_to_client,
    groupUniqArray(exporter) AS exporters,
    max(stored_at) AS stored_at
FROM {{database}}.flows
WHERE protocol = 6 AND fragment_offset = 0
    AND (dst_port IN (25, 465, 587, 2525) OR src_port IN (25, 465, 587) OR (src_port = 2525 AND dst_port >= 1024))
GROUP BY hour, client, server, server_port, client_port;

-- Five-minute rollup per client and port, for charts. Counts of distinct servers and connections are estimates.
CREATE TABLE IF NOT EXISTS {{database}}.mail_5m
(
    `bucket` DateTime('UTC') CODEC(DoubleDelta, LZ4),
    `client` IPv6 CODEC(ZSTD(1)),
    `server_port` UInt16 CODEC(ZSTD(1)),
    `records` SimpleAggregateFunction(sum, UInt64) CODEC(T64, LZ4),
    `packets_to_server` SimpleAggregateFunction(sum, UInt64) CODEC(T64, LZ4),
    `bytes_to_server` SimpleAggregateFunction(sum, UInt64) CODEC(T64, LZ4),
    `packets_to_client` SimpleAggregateFunction(sum, UInt64) CODEC(T64, LZ4),
    `bytes_to_client` SimpleAggregateFunction(sum, UInt64) CODEC(T64, LZ4),
    `servers` AggregateFunction(uniqCombined(12), IPv6) CODEC(ZSTD(1)),
    `connections` AggregateFunction(uniqCombined(12), IPv6, UInt16) CODEC(ZSTD(1)),
    `stored_at` SimpleAggregateFunction(max, DateTime('UTC')) CODEC(DoubleDelta, LZ4)
)
ENGINE = AggregatingMergeTree
PARTITION BY toMonday(bucket)
ORDER BY (bucket, client, server_port)
TTL stored_at + toIntervalSecond({{retention_mail}})
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000;

CREATE MATERIALIZED VIEW IF NOT EXISTS {{database}}.mail_5m_from_flows TO {{database}}.mail_5m AS
WITH dst_port IN (25, 465, 587, 2525) AS to_server
SELECT
    toStartOfFiveMinutes(received_at) AS bucket,
    if(to_server, src_addr, dst_addr) AS client,
    if(to_server, dst_port, src_port) AS server_port,
    count() AS records,
    sumIf(packets, to_server) AS packets_to_server,
    sumIf(bytes, to_server) AS bytes_to_server,
    sumIf(packets, NOT to_server) AS packets_to_client,
    sumIf(bytes, NOT to_server) AS bytes_to_client,
    uniqCombinedState(12)(if(to_server, dst_addr, src_addr)) AS servers,
    uniqCombinedState(12)(if(to_server, dst_addr, src_addr), if(to_server, src_port, dst_port)) AS connections,
    max(stored_at) AS stored_at
FROM {{database}}.flows
WHERE protocol = 6 AND fragment_offset = 0
    AND (dst_port IN (25, 465, 587, 2525) OR src_port IN (25, 465, 587) OR (src_port = 2525 AND dst_port >= 1024))
GROUP BY bucket, client, server_port;
