-- The rights that each role of rogue-smtp needs on a ClickHouse server, where they run as users of their own. No migration: run it by
-- hand, as an administrator. A test runs each role with these rights alone. For one user with all of them see reader.sql.
--
-- Only `rogue-smtp migrate` creates and alters. A store whose user may not waits with the reason until somebody has run it;
-- where nothing is to be migrated it needs nobody. Replace rogue_smtp by the database of clickhouse.database.

-- `rogue-smtp migrate`, and `run` where it is to migrate by itself. With clickhouse.cluster also: GRANT CLUSTER ON *.*
CREATE ROLE IF NOT EXISTS rogue_smtp_migrate;
GRANT CREATE DATABASE, CREATE TABLE, CREATE VIEW, ALTER, INSERT, SELECT, SHOW ON rogue_smtp.* TO rogue_smtp_migrate;
GRANT SELECT ON system.tables TO rogue_smtp_migrate;
GRANT SELECT ON system.databases TO rogue_smtp_migrate;
GRANT SELECT ON system.parts TO rogue_smtp_migrate;

-- `rogue-smtp store`, and `store replay-dead-letters`. The views write into their tables by themselves.
CREATE ROLE IF NOT EXISTS rogue_smtp_store;
GRANT INSERT ON rogue_smtp.flows TO rogue_smtp_store;
GRANT INSERT ON rogue_smtp.alerts TO rogue_smtp_store;
GRANT INSERT ON rogue_smtp.incidents TO rogue_smtp_store;
GRANT SELECT, SHOW ON rogue_smtp.* TO rogue_smtp_store;
GRANT SELECT ON system.tables TO rogue_smtp_store;
GRANT SELECT ON system.databases TO rogue_smtp_store;
GRANT SELECT ON system.functions TO rogue_smtp_store;
GRANT SELECT ON system.table_functions TO rogue_smtp_store;
GRANT SELECT ON system.processes TO rogue_smtp_store;

-- `rogue-smtp collect`: the account of the exporters.
CREATE ROLE IF NOT EXISTS rogue_smtp_collect;
GRANT INSERT ON rogue_smtp.exporters TO rogue_smtp_collect;
GRANT SELECT ON system.databases TO rogue_smtp_collect;
GRANT SELECT ON system.functions TO rogue_smtp_collect;
GRANT SELECT ON system.table_functions TO rogue_smtp_collect;

-- `rogue-smtp serve`, and commands that ask the server themselves. A profile with readonly = 1 or 2 is enough for it. Without the right
-- on system.processes a statement that nobody waits for any more cannot be cancelled, and ends by its limit of time.
CREATE ROLE IF NOT EXISTS rogue_smtp_serve;
GRANT SELECT, SHOW ON rogue_smtp.* TO rogue_smtp_serve;
GRANT SELECT ON system.tables TO rogue_smtp_serve;
GRANT SELECT ON system.databases TO rogue_smtp_serve;
GRANT SELECT ON system.functions TO rogue_smtp_serve;
GRANT SELECT ON system.table_functions TO rogue_smtp_serve;
GRANT SELECT ON system.processes TO rogue_smtp_serve;
