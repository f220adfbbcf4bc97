/** What no single key can tell: combinations that are unsafe (errors) or probably not meant (warnings). */

import { whyNotForm, whyNotOwnTraffic } from '../acl/platforms.ts';
import { formatPrefix, type Prefix, prefixContains } from '../flow/prefix.ts';
import { SHARED_TOKEN } from '../messages/access-role.ts';
import { MAX_NAMES, namesOf } from './names.ts';
import { notifyMistakes } from './notify.ts';
import { type AclTargetConfig, type Config, PUSH_PLATFORMS } from './schema.ts';
import { formatSocketAddress, hostnameOf } from './values.ts';

export interface CrossCheck {
  readonly errors: readonly {
    readonly path: readonly (string | number)[];
    readonly message: string;
  }[];
  readonly warnings: readonly string[];
}

const LOOPBACK_HOSTS = new Set(['127.0.0.1', '::1']);

/** A batch is one message, and a broker takes messages up to a bound even where they do not compress. */
const MAX_KAFKA_BATCH_ROWS = 32_768;

type Mistake = CrossCheck['errors'][number];

export function crossCheck(config: Config): CrossCheck {
  const errors: Mistake[] = [];
  const warnings: string[] = [];

  const { token, token_file, tokens, tls } = config.http;
  const hasToken = token !== undefined || token_file !== undefined || tokens.length > 0;
  if (!LOOPBACK_HOSTS.has(config.http.listen.host) && !hasToken) {
    errors.push({
      path: ['http', 'listen'],
      message:
        'listening beyond loopback needs http.token or http.tokens, since whoever reaches the API reads all incidents',
    });
  }
  if (
    config.clickhouse.listen !== undefined &&
    !LOOPBACK_HOSTS.has(config.clickhouse.listen.host) &&
    !hasToken
  ) {
    errors.push({
      path: ['clickhouse', 'listen'],
      message:
        'listening beyond loopback needs http.token or http.tokens, since whoever reaches it reads the whole store',
    });
  }
  if (config.clickhouse.cluster !== undefined && config.clickhouse.url === '') {
    errors.push({
      path: ['clickhouse', 'cluster'],
      message: 'needs clickhouse.url: the embedded engine is no cluster',
    });
  }
  if (token !== undefined && token_file !== undefined) {
    errors.push({ path: ['http', 'token_file'], message: 'token and token_file exclude each other' });
  }
  tokens.forEach((entry, i) => {
    const at = (key: string, message: string) => errors.push({ path: ['http', 'tokens', i, key], message });
    if ((entry.token === undefined) === (entry.token_file === undefined))
      at('token', 'needs either token or token_file');
    if (entry.name === SHARED_TOKEN) at('name', `"${SHARED_TOKEN}" is the name of http.token`);
    if (tokens.findIndex(({ name }) => name === entry.name) !== i)
      at('name', `the name "${entry.name}" is used twice`);
  });
  if (!LOOPBACK_HOSTS.has(config.http.listen.host) && tls === undefined)
    warnings.push(
      'http.listen is reached from other machines without http.tls: tokens cross the network as they are, unless a proxy before it has TLS',
    );
  checkClickHouse(config, errors);
  if (config.kafka.brokers.length > 0) checkKafka(config, errors, warnings);
  const listens = config.collector.listen.map(formatSocketAddress);
  listens.forEach((listen, i) => {
    if (listens.indexOf(listen) !== i)
      errors.push({ path: ['collector', 'listen', i], message: `${listen} is named twice` });
  });
  config.senders.forEach((sender, i) => {
    for (const host of sender.hosts) {
      if (hostnameOf(host) !== null) continue;
      const covered = config.networks.internal.find(
        (net) => host.length <= net.length && prefixContains(host, net.bytes),
      );
      if (covered !== undefined) {
        const what =
          sender.to === 'any'
            ? 'send; nobody there is ever reported'
            : 'send to the destinations of `to`; whoever there sends elsewhere is reported, and blocked but for these destinations';
        warnings.push(
          `sender "${sender.name}": ${formatPrefix(host)} lets all of ${formatPrefix(covered)}${sender.sites === undefined ? '' : ` at ${sender.sites.join(' and ')}`} ${what}`,
        );
        continue;
      }
      if (!isInternal(config, host)) {
        warnings.push(`sender "${sender.name}": ${formatPrefix(host)} is not inside networks.internal`);
      }
    }
    const twin = config.senders.findIndex((other) => other.name === sender.name);
    if (twin !== i)
      errors.push({
        path: ['senders', i, 'name'],
        message: `the name "${sender.name}" is used twice`,
      });
  });
  config.expected.forEach(({ name, hosts, does, to }, i) => {
    for (const host of hosts)
      if (hostnameOf(host) === null && !isInternal(config, host))
        warnings.push(`expected "${name}": ${formatPrefix(host)} is not inside networks.internal`);
    if (does === 'send' && to === 'any')
      errors.push({
        path: ['expected', i, 'to'],
        message: 'does: send needs `to` with the destinations: whoever may send anywhere is a sender',
      });
    if (config.expected.findIndex((other) => other.name === name) !== i)
      errors.push({ path: ['expected', i, 'name'], message: `the name "${name}" is used twice` });
  });
  config.alerts.groups.forEach(({ name, hosts = [] }, i) => {
    for (const host of hosts)
      if (!isInternal(config, host) && !coversInternal(config, host))
        warnings.push(`alerts group "${name}": ${formatPrefix(host)} is not inside networks.internal`);
    if (config.alerts.groups.findIndex((other) => other.name === name) !== i)
      errors.push({ path: ['alerts', 'groups', i, 'name'], message: `the name "${name}" is used twice` });
  });
  const lists = new Set(config.lists.map(({ name }) => name));
  if (lists.size < config.lists.length)
    errors.push({ path: ['lists'], message: 'two lists have the same name' });
  const unknown = (names: readonly string[], path: (string | number)[]) => {
    for (const name of names)
      if (!lists.has(name)) errors.push({ path, message: `there is no list "${name}" in lists` });
  };
  config.senders.forEach((sender, i) => {
    unknown(sender.to_lists, ['senders', i, 'to_lists']);
    if (sender.to === 'any' && sender.to_lists.length > 0)
      errors.push({ path: ['senders', i, 'to_lists'], message: 'needs `to` with at least one address' });
  });
  unknown(config.block.never_lists, ['block', 'never_lists']);
  config.acl.targets.forEach((target, i) => {
    const twin = config.acl.targets.findIndex((other) => other.name === target.name);
    if (twin !== i)
      errors.push({
        path: ['acl', 'targets', i, 'name'],
        message: `the name "${target.name}" is used twice`,
      });
    checkTarget(target, i, config, errors);
  });
  if (config.block.mode === 'publish' && config.senders.length === 0) {
    warnings.push(
      'block.mode is publish, but no senders are configured: nothing is published until they are',
    );
  }
  if (config.collector.exporters.length === 0 && config.block.mode === 'publish') {
    warnings.push(
      'block.mode is publish and collector.exporters is empty: anyone who can reach the UDP ports can forge flows',
    );
  }
  if (namesOf(config).length > MAX_NAMES)
    errors.push({
      path: ['senders'],
      message: `more than ${MAX_NAMES} DNS names in senders, expected and block.never`,
    });
  checkSites(config, errors);
  errors.push(
    ...notifyMistakes(
      config.notify,
      new Set(config.networks.sites.map(({ name }) => name)),
      new Set(config.alerts.groups.map(({ name }) => name)),
    ),
  );
  return { errors, warnings };
}

function checkSites({ senders, expected, alerts, networks }: Config, errors: Mistake[]): void {
  const known = new Set(networks.sites.map(({ name }) => name));
  const check = (sites: readonly string[], path: readonly (string | number)[]): void => {
    sites.forEach((site, i) => {
      if (known.has(site)) return;
      errors.push({
        path: [...path, 'sites', i],
        message: `there is no site "${site}" in networks.sites`,
      });
    });
  };
  for (const [i, { sites = [] }] of senders.entries()) check(sites, ['senders', i]);
  for (const [i, { sites = [] }] of expected.entries()) check(sites, ['expected', i]);
  for (const [i, { sites = [] }] of alerts.groups.entries()) check(sites, ['alerts', 'groups', i]);
}

const coversInternal = ({ networks }: Config, wide: Prefix): boolean =>
  networks.internal.some((net) => wide.length <= net.length && prefixContains(wide, net.bytes));

const isInternal = ({ networks }: Config, host: Prefix): boolean =>
  networks.internal.some((net) => net.length <= host.length && prefixContains(net, host.bytes));

function checkTarget(target: AclTargetConfig, i: number, config: Config, errors: Mistake[]): void {
  const at = (key: string, message: string) => errors.push({ path: ['acl', 'targets', i, key], message });
  if (target.site !== undefined && !config.networks.sites.some((site) => site.name === target.site))
    at('site', `there is no site "${target.site}" in networks.sites`);
  const { push, form } = target;
  const whyNot = form === undefined ? null : whyNotForm(target.platform, form);
  if (whyNot !== null) at('form', whyNot);
  const whyNotOwn = target.traffic === 'own' ? whyNotOwnTraffic(target) : null;
  if (whyNotOwn !== null) at('traffic', whyNotOwn);
  if (target.without_senders === 'deny' && target.kind !== 'policy')
    at('without_senders', 'is of a target of kind policy only');
  if (push === undefined) return;
  if (!PUSH_PLATFORMS.some((platform) => platform === target.platform))
    at('push', `there is no push for ${target.platform}, only for ${PUSH_PLATFORMS.join(', ')}`);
  if (form === 'hierarchical') at('push', 'sends the form "set" only');
  if (target.interface === undefined)
    at('push', 'needs the interface that the list is bound to, as "interface" of the target');
  const secrets = [push.password_file, push.password_env, push.key_file].filter((one) => one !== undefined);
  if (secrets.length !== 1) at('push', 'needs one of password_file, password_env and key_file');
}

/** The client would take a path for the name of a database, and what is behind a question mark for options of its own. */
function checkClickHouse({ clickhouse }: Config, errors: Mistake[]): void {
  const at = (key: string, message: string) => errors.push({ path: ['clickhouse', key], message });
  const { url, password, password_file, ca_file } = clickhouse;
  if (password !== '' && password_file !== undefined)
    at('password_file', 'password and password_file exclude each other');
  const parsed = url === '' ? null : new URL(url);
  if (ca_file !== undefined && parsed?.protocol !== 'https:')
    at('ca_file', 'needs a clickhouse.url with https');
  if (parsed === null) return;
  if (parsed.username !== '' || parsed.password !== '')
    at('url', 'give the user by clickhouse.username and clickhouse.password_file, not in the URL');
  if (parsed.search !== '' || parsed.hash !== '')
    at(
      'url',
      'nothing may follow the path: the database is clickhouse.database, and settings belong to the profile of the user',
    );
}

function checkKafka({ kafka, collector }: Config, errors: Mistake[], warnings: string[]): void {
  const { sasl, ssl } = kafka;
  if (sasl !== undefined && (sasl.password === undefined) === (sasl.password_file === undefined)) {
    errors.push({ path: ['kafka', 'sasl'], message: 'needs either password or password_file' });
  }
  if (sasl?.mechanism === 'plain' && ssl === false) {
    warnings.push('kafka.sasl is plain without kafka.ssl: the password crosses the network as it is');
  }
  if (typeof ssl === 'object' && (ssl.cert === undefined) !== (ssl.key === undefined)) {
    errors.push({ path: ['kafka', 'ssl'], message: 'cert and key belong together' });
  }
  const names = Object.entries(kafka.topics).map(
    ([stream, { name }]) => name ?? `${kafka.topic_prefix}.${stream}`,
  );
  if (new Set(names).size < names.length) {
    errors.push({ path: ['kafka', 'topics'], message: 'two streams have the same topic' });
  }
  if (collector.batch_rows > MAX_KAFKA_BATCH_ROWS) {
    errors.push({
      path: ['collector', 'batch_rows'],
      message: `with kafka.brokers at most ${MAX_KAFKA_BATCH_ROWS}: a batch is one message`,
    });
  }
}
