-- Roles for the user of rogue-smtp on a ClickHouse server (24.4 or later). No migration: run it by hand, as an administrator.
--
-- The user has all its rights by roles, and none by itself. Statements that people type run with the reader's role alone
-- (`role=rogue_smtp_reader` in the request), so a hole in our check of statements opens nothing else. `rogue-smtp check` says whether it is
-- used. Replace rogue_smtp by the database of clickhouse.database, and the name and password of the user by those of clickhouse.*.

CREATE SETTINGS PROFILE IF NOT EXISTS rogue_smtp_reader SETTINGS
    allow_introspection_functions = 0 CONST,
    format_schema = '' CONST,
    format_template_resultset = '' CONST,
    format_template_row = '' CONST,
    format_avro_schema_registry_url = '' CONST,
    input_format_record_errors_file_path = '' CONST,
    max_bytes_before_external_sort = 0 CONST,
    max_bytes_before_external_group_by = 0 CONST,
    max_memory_usage = 2000000000 MAX 2000000000;

CREATE ROLE IF NOT EXISTS rogue_smtp_owner;
GRANT SELECT, INSERT, ALTER, CREATE DATABASE, CREATE TABLE, CREATE VIEW, DROP TABLE, DROP VIEW, SHOW, OPTIMIZE ON rogue_smtp.* TO rogue_smtp_owner;
GRANT SELECT ON system.* TO rogue_smtp_owner;

CREATE ROLE IF NOT EXISTS rogue_smtp_reader SETTINGS PROFILE 'rogue_smtp_reader';
GRANT SELECT, SHOW ON rogue_smtp.* TO rogue_smtp_reader;
GRANT SELECT (database, name, uuid, engine, create_table_query, engine_full, as_select, partition_key, sorting_key, primary_key, sampling_key, total_rows, total_bytes, parts, active_parts, comment) ON system.tables TO rogue_smtp_reader;
GRANT SELECT (name, engine, uuid, comment) ON system.databases TO rogue_smtp_reader;
GRANT SELECT (partition, name, part_type, active, marks, rows, bytes_on_disk, data_compressed_bytes, data_uncompressed_bytes, modification_time, min_date, max_date, min_time, max_time, partition_id, level, database, table, engine) ON system.parts TO rogue_smtp_reader;
GRANT SELECT ON system.columns TO rogue_smtp_reader;
GRANT SELECT ON system.functions TO rogue_smtp_reader;
GRANT SELECT ON system.table_functions TO rogue_smtp_reader;
GRANT SELECT ON system.formats TO rogue_smtp_reader;
GRANT SELECT ON system.one TO rogue_smtp_reader;
GRANT SELECT ON system.numbers TO rogue_smtp_reader;
GRANT SELECT ON system.data_type_families TO rogue_smtp_reader;
GRANT SELECT ON system.settings TO rogue_smtp_reader;

CREATE USER IF NOT EXISTS rogue_smtp IDENTIFIED WITH sha256_password BY 'change me';
GRANT rogue_smtp_owner, rogue_smtp_reader TO rogue_smtp;
SET DEFAULT ROLE rogue_smtp_owner TO rogue_smtp;
