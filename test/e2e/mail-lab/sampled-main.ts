import { readFileSync } from 'node:fs';
import { runSamplers } from './sampled.ts';
import type { TruthCase } from './truth.ts';

const [directory, sessions, seconds] = process.argv.slice(2);
const truth = JSON.parse(readFileSync(`${directory}/truth.json`, 'utf8')) as TruthCase[];
const clients = truth.filter(({ sessions, kind }) => sessions > 0 && kind !== 'authorised').map(({ host }) => host);
const said = await runSamplers(
  { packets: `${directory}/packets.pcap`, clients, sessions: Number(sessions), seconds: Number(seconds), out: directory },
  console.log,
);
console.log(said);
