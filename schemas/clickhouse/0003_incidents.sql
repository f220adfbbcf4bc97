-- What the detector said. The JSON messages are kept whole in `message`; the other columns are taken from it on insert,
-- so that writers send nothing but the message. The schema of the messages is in schemas/*.schema.json.

CREATE TABLE IF NOT EXISTS {{database}}.incidents
(
    `message` String CODEC(ZSTD(3)),
    `incident_id` String DEFAULT JSONExtractString(message, 'incident_id'),
    `revision` UInt64 DEFAULT JSONExtractUInt(message, 'revision'),
    `host` String DEFAULT JSONExtractString(message, 'host'),
    `site` String DEFAULT JSONExtractString(message, 'site'),
    `state` LowCardinality(String) DEFAULT JSONExtractString(message, 'state'),
    `grade` LowCardinality(String) DEFAULT JSONExtractString(message, 'grade'),
    `flags` Array(String) DEFAULT JSONExtract(message, 'flags', 'Array(String)'),
    `first_seen` DateTime64(3, 'UTC') DEFAULT parseDateTime64BestEffort(JSONExtractString(message, 'first_seen'), 3, 'UTC'),
    `last_seen` DateTime64(3, 'UTC') DEFAULT parseDateTime64BestEffort(JSONExtractString(message, 'last_seen'), 3, 'UTC'),
    `opened_at` DateTime64(3, 'UTC') DEFAULT parseDateTime64BestEffort(JSONExtractString(message, 'opened_at'), 3, 'UTC'),
    `updated_at` DateTime64(3, 'UTC') DEFAULT parseDateTime64BestEffort(JSONExtractString(message, 'updated_at'), 3, 'UTC'),
    `closed_at` Nullable(DateTime64(3, 'UTC')) DEFAULT parseDateTime64BestEffortOrNull(JSONExtractString(message, 'closed_at'), 3, 'UTC'),
    `sessions` UInt64 DEFAULT JSONExtractUInt(message, 'sessions'),
    `attempts` UInt64 DEFAULT JSONExtractUInt(message, 'attempts'),
    `destinations` UInt64 DEFAULT JSONExtractUInt(message, 'destinations', 'count'),
    `packets` UInt64 DEFAULT JSONExtractUInt(message, 'packets'),
    `bytes` UInt64 DEFAULT JSONExtractUInt(message, 'bytes'),
    `ports` Array(UInt16) DEFAULT JSONExtract(message, 'ports', 'Array(UInt16)'),
    `policy_version` String DEFAULT JSONExtractString(message, 'policy_version'),
    `recurrence` UInt64 DEFAULT JSONExtractUInt(message, 'recurrence'),
    `block_state` LowCardinality(String) DEFAULT JSONExtractString(message, 'block', 'state'),
    `block_reason` String DEFAULT JSONExtractString(message, 'block', 'reason'),
    `block_since` Nullable(DateTime64(3, 'UTC')) DEFAULT parseDateTime64BestEffortOrNull(JSONExtractString(message, 'block', 'since'), 3, 'UTC'),
    `block_until` Nullable(DateTime64(3, 'UTC')) DEFAULT parseDateTime64BestEffortOrNull(JSONExtractString(message, 'block', 'until'), 3, 'UTC'),
    `stored_at` DateTime('UTC') DEFAULT now('UTC')
)
ENGINE = ReplacingMergeTree(revision)
ORDER BY incident_id
TTL stored_at + toIntervalSecond({{retention_incidents}})
SETTINGS non_replicated_deduplication_window = 1000;

CREATE TABLE IF NOT EXISTS {{database}}.alerts
(
    `message` String CODEC(ZSTD(3)),
    `alert_id` String DEFAULT JSONExtractString(message, 'alert_id'),
    `kind` LowCardinality(String) DEFAULT JSONExtractString(message, 'kind'),
    `incident_id` String DEFAULT JSONExtractString(message, 'incident_id'),
    `host` String DEFAULT JSONExtractString(message, 'host'),
    `site` String DEFAULT JSONExtractString(message, 'site'),
    `grade` LowCardinality(String) DEFAULT JSONExtractString(message, 'grade'),
    `emitted_at` DateTime64(3, 'UTC') DEFAULT parseDateTime64BestEffort(JSONExtractString(message, 'emitted_at'), 3, 'UTC'),
    `stored_at` DateTime('UTC') DEFAULT now('UTC'),
    INDEX emitted_at_range emitted_at TYPE minmax GRANULARITY 1,
    INDEX host_bloom host TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree
ORDER BY alert_id
TTL stored_at + toIntervalSecond({{retention_incidents}})
SETTINGS non_replicated_deduplication_window = 1000;

-- Every state that the block of an incident was ever in, with the newest revision of each.
CREATE TABLE IF NOT EXISTS {{database}}.blocks
(
    `host` String,
    `site` String,
    `incident_id` String,
    `state` LowCardinality(String),
    `reason` String,
    `since` Nullable(DateTime64(3, 'UTC')),
    `until` Nullable(DateTime64(3, 'UTC')),
    `revision` UInt64,
    `updated_at` DateTime64(3, 'UTC'),
    `stored_at` DateTime('UTC')
)
ENGINE = ReplacingMergeTree(revision)
ORDER BY (host, site, incident_id, state)
TTL stored_at + toIntervalSecond({{retention_incidents}})
SETTINGS non_replicated_deduplication_window = 1000;

CREATE MATERIALIZED VIEW IF NOT EXISTS {{database}}.blocks_from_incidents TO {{database}}.blocks AS
SELECT
    host,
    site,
    incident_id,
    block_state AS state,
    block_reason AS reason,
    block_since AS since,
    block_until AS until,
    revision,
    updated_at,
    stored_at
FROM {{database}}.incidents
WHERE block_state NOT IN ('', 'none');

-- One row per host (and site): its newest incident in its newest revision.
CREATE VIEW IF NOT EXISTS {{database}}.offenders AS
SELECT
    host,
    site,
    state,
    grade,
    flags,
    sessions,
    attempts,
    destinations,
    packets,
    bytes,
    first_seen,
    last_seen,
    block_state,
    block_reason,
    block_until,
    recurrence,
    incident_id
FROM {{database}}.incidents FINAL
ORDER BY opened_at DESC, incident_id DESC
LIMIT 1 BY host, site;
