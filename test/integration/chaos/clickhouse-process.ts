/**
 * The ClickHouse of the chaos and soak runs as a process of its own: says where it is on stdout and goes on until it is ended.
 * Arguments: directory and port, which a process that is started again takes over.
 */

import { startClickHouse } from '../../support/clickhouse-server.ts';

const [directory = '', port = '0'] = process.argv.slice(2);
const server = await startClickHouse({ directory, port: Number(port) });
const { url, username, password, database } = server;
process.stdout.write(`${JSON.stringify({ url, username, password, database })}\n`);
// Nobody here asks what was seen, and a long run would fill the memory with it.
setInterval(() => server.seen.splice(0), 1000);
