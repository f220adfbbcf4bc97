-- ClickHouse reads `rogue-smtp.flows` by itself, in place of the role `store` for flows. Not a migration: run it by hand, after
-- `rogue-smtp migrate`, on a server that reaches the brokers, with brokers, topic and group put right. `detect` and `serve` need the
-- role `store` all the same, for alerts and incidents: set `collector.archive: mail` there, or flows come in twice.
--
-- What is weaker than the role `store`: a message is committed after the insert and carries no token, so that a server that is killed
-- in between stores it a second time. A message that is no block goes to `flows_from_kafka_errors`.
CREATE TABLE rogue_smtp.flows_kafka
(
    `received_at` DateTime64(3, 'UTC'),
    `exporter` IPv6,
    `exporter_port` UInt16,
    `domain` UInt32,
    `version` UInt8,
    `sequence` UInt32,
    `record` UInt16,
    `present` UInt32,
    `reverse` UInt8,
    `src_addr` IPv6,
    `dst_addr` IPv6,
    `src_port` UInt16,
    `dst_port` UInt16,
    `protocol` UInt8,
    `tcp_flags` UInt16,
    `fragment_offset` UInt16,
    `packets` UInt64,
    `bytes` UInt64,
    `start` DateTime64(3, 'UTC'),
    `end` DateTime64(3, 'UTC'),
    `in_if` UInt32,
    `out_if` UInt32,
    `sampling_rate` UInt32,
    `forwarding` UInt8,
    `direction` UInt8,
    `flow_end_reason` UInt8,
    `firewall_event` UInt8,
    `vrf` UInt32,
    `post_nat_src_addr` IPv6,
    `post_nat_dst_addr` IPv6,
    `post_nat_src_port` UInt16,
    `post_nat_dst_port` UInt16
)
ENGINE = Kafka
SETTINGS
    kafka_broker_list = 'kafka-1.example.net:9092',
    kafka_topic_list = 'rogue-smtp.flows',
    kafka_group_name = 'rogue-smtp.clickhouse',
    kafka_format = 'Native',
    kafka_num_consumers = 1,
    kafka_poll_max_batch_size = 64,
    kafka_handle_error_mode = 'stream';

CREATE MATERIALIZED VIEW rogue_smtp.flows_from_kafka TO rogue_smtp.flows AS
SELECT `received_at`, `exporter`, `exporter_port`, `domain`, `version`, `sequence`, `record`, `present`, `reverse`, `src_addr`, `dst_addr`, `src_port`, `dst_port`, `protocol`, `tcp_flags`, `fragment_offset`, `packets`, `bytes`, `start`, `end`, `in_if`, `out_if`, `sampling_rate`, `forwarding`, `direction`, `flow_end_reason`, `firewall_event`, `vrf`, `post_nat_src_addr`, `post_nat_dst_addr`, `post_nat_src_port`, `post_nat_dst_port`
FROM rogue_smtp.flows_kafka
WHERE _error = '';

CREATE TABLE rogue_smtp.flows_from_kafka_errors
(
    `seen_at` DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC'),
    `topic` String,
    `partition` UInt64,
    `offset` UInt64,
    `error` String,
    `bytes` UInt64
)
ENGINE = MergeTree
ORDER BY seen_at
TTL toDateTime(seen_at) + INTERVAL 30 DAY;

CREATE MATERIALIZED VIEW rogue_smtp.flows_from_kafka_refused TO rogue_smtp.flows_from_kafka_errors AS
SELECT _topic AS topic, _partition AS partition, _offset AS offset, _error AS error, length(_raw_message) AS bytes
FROM rogue_smtp.flows_kafka
WHERE _error != '';
