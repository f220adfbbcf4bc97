/** The ClickHouse of the chaos run as a process of its own; says where it is on stdout and goes on until it is ended. */

import { startClickHouse } from '../../support/clickhouse-server.ts';

const { url, username, password, database } = await startClickHouse();
process.stdout.write(`${JSON.stringify({ url, username, password, database })}\n`);
setInterval(() => undefined, 1 << 30);
