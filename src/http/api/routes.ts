/** All routes under `/api/v1`: the one place that says what there is. Their schemas are in schemas.ts and command-schemas.ts. */

import { z } from 'zod';
import { ACL_FAMILIES } from '../../acl/model.ts';
import { alertSchema } from '../../messages/alert.ts';
import * as command from './command-schemas.ts';
import { API_BASE, type Route, route } from './route.ts';
import * as page from './schemas.ts';

const ACL = `${API_BASE}/acl`;
const MAX_DECISION_BYTES = 256 * 1024;

const decision = <Body extends z.ZodType>(name: string, id: string, summary: string, body: Body) =>
  route({
    method: 'post',
    path: `${ACL}/${name}`,
    id,
    summary,
    role: 'decide',
    body,
    answer: command.doneAnswer,
    refusals: [404, 409, 503],
    maxBodyBytes: MAX_DECISION_BYTES,
  });

const reading = <Answer extends z.ZodType>(path: string, id: string, summary: string, answer: Answer) =>
  route({ method: 'get', path: `${API_BASE}/${path}`, id, summary, role: 'read', answer, refusals: [503] });

const hostParam = z.object({ host: page.hostText });
const TEXT = ['text/plain'];

export const ACL_ROUTES = {
  acl: route({
    method: 'get',
    path: ACL,
    id: 'getAcl',
    summary: 'Hosts with a block and the lists of all targets',
    role: 'read',
    answer: command.aclAnswer,
    refusals: [404, 503],
  }),
  diff: route({
    method: 'get',
    path: `${ACL}/diff`,
    id: 'getDiff',
    summary: 'What the lists would change to if everything that waits were approved, as unified diffs',
    role: 'read',
    query: command.diffQuery,
    answer: z.string(),
    mediaTypes: TEXT,
    refusals: [404, 503],
  }),
  rollbackDiff: route({
    method: 'get',
    path: `${ACL}/rollback`,
    id: 'getRollbackDiff',
    summary: 'What a rollback would change, as unified diffs',
    role: 'read',
    query: command.rollbackQuery,
    answer: z.string(),
    mediaTypes: TEXT,
    refusals: [404, 409, 503],
  }),
  log: route({
    method: 'get',
    path: `${ACL}/log`,
    id: 'getAuditLog',
    summary: 'Who changed what in the lists, when and why',
    role: 'read',
    query: command.logQuery,
    answer: command.logAnswer,
    refusals: [404, 503],
  }),
  approve: decision('approve', 'approve', 'Blocks hosts that wait for it', command.approveBody),
  reject: decision(
    'reject',
    'reject',
    'Does not block hosts as long as their incident lasts',
    command.rejectBody,
  ),
  release: decision(
    'release',
    'release',
    'Lifts blocks, and blocks none of the hosts again for a time',
    command.releaseBody,
  ),
  block: decision('block', 'block', 'Blocks hosts for a time, whatever the evidence', command.blockBody),
  rollback: decision(
    'rollback',
    'rollback',
    'Puts an earlier revision of lists in force, and holds it',
    command.rollbackBody,
  ),
  forgetLost: decision(
    'forget-lost',
    'forgetLost',
    'Lets go of listed hosts whose incident was lost',
    command.forgetLostBody,
  ),
  follow: decision('follow', 'follow', 'Ends what a rollback began', command.followBody),
} as const;

export const COMMAND_ROUTES = {
  status: reading('status', 'getStatus', 'Version, policy in force, counts and losses', command.statusAnswer),
  offenders: reading(
    'offenders',
    'getOffenders',
    'The newest incident of every host',
    z.array(command.offenderRow),
  ),
  inventory: reading(
    'inventory',
    'getInventory',
    'Who talks SMTP, and what looks like a mail server',
    z.array(command.inventoryRow),
  ),
  exporters: reading(
    'exporters',
    'getExporters',
    'What is stored of each router',
    z.array(command.exporterRow),
  ),
  sight: reading(
    'sight',
    'getSight',
    'How much of the mail of the newest day could be judged',
    command.sightAnswer,
  ),
  alerts: route({
    method: 'get',
    path: `${API_BASE}/alerts`,
    id: 'getAlerts',
    summary: 'The newest alerts, oldest of them first',
    role: 'read',
    query: command.alertsQuery,
    answer: command.alertsAnswer,
    refusals: [503],
  }),
  incident: route({
    method: 'get',
    path: `${API_BASE}/incidents/{id}`,
    id: 'getIncident',
    summary: 'An incident with its alerts and flow records, by its id or the newest of a host',
    role: 'read',
    params: command.incidentName,
    answer: command.incidentAnswer,
    refusals: [404, 503],
  }),
  explain: route({
    method: 'get',
    path: `${API_BASE}/explain/{id}`,
    id: 'explainHost',
    summary: 'Why a host is graded and blocked, or not, and what is missing for a block',
    role: 'read',
    params: command.incidentName,
    answer: command.explainAnswer,
    refusals: [404, 503],
  }),
  canary: route({
    method: 'post',
    path: `${API_BASE}/canary`,
    id: 'sendCanary',
    summary: 'Sends a flow that must be found to the own listener, and waits for its alert',
    role: 'admin',
    body: command.canaryBody,
    answer: command.canaryAnswer,
    refusals: [409, 503],
  }),
  render: route({
    method: 'get',
    path: `${ACL}/render`,
    id: 'renderAcl',
    summary: 'A list for a platform as it would be now',
    role: 'read',
    query: command.renderQuery,
    answer: command.renderAnswer,
    refusals: [404, 409, 503],
  }),
  reload: route({
    method: 'post',
    path: `${API_BASE}/reload`,
    id: 'reload',
    summary: 'Reads the configuration file again',
    role: 'admin',
    body: command.reloadBody,
    answer: page.policyStatus,
    refusals: [409, 503],
  }),
  acknowledge: route({
    method: 'post',
    path: `${API_BASE}/notify/ack`,
    id: 'acknowledge',
    summary: 'Ends the reminders about an incident',
    role: 'decide',
    body: command.acknowledgeBody,
    answer: command.acknowledgeAnswer,
    refusals: [404],
  }),
} as const;

export const SESSION_ROUTES = {
  login: route({
    method: 'post',
    path: `${API_BASE}/session`,
    id: 'logIn',
    summary: 'A token in, the cookie of a session and a CSRF token out',
    role: 'read',
    open: 'nobody',
    body: page.sessionRequest,
    answer: page.sessionAnswer,
    refusals: [429],
  }),
  session: route({
    method: 'get',
    path: `${API_BASE}/session`,
    id: 'getSession',
    summary: 'Who asks, and the CSRF token of the session',
    role: 'read',
    open: 'kiosk',
    answer: page.sessionAnswer,
  }),
  logout: route({
    method: 'delete',
    path: `${API_BASE}/session`,
    id: 'logOut',
    summary: 'Ends the session',
    role: 'read',
    answer: z.object({ done: z.array(z.string()) }),
  }),
} as const;

export const PAGE_ROUTES = {
  overview: route({
    method: 'get',
    path: `${API_BASE}/overview`,
    id: 'getOverview',
    summary: 'Is anyone sending, is it stopped, and how much of the network is this true for',
    role: 'read',
    open: 'kiosk',
    answer: page.overviewAnswer,
    refusals: [503],
  }),
  timeseries: route({
    method: 'get',
    path: `${API_BASE}/timeseries`,
    id: 'getTimeseries',
    summary: 'Mail sessions over time, authorised and not; what is not known is null',
    role: 'read',
    open: 'kiosk',
    query: page.seriesQuery,
    answer: page.seriesAnswer,
    refusals: [503],
  }),
  hosts: route({
    method: 'get',
    path: `${API_BASE}/hosts`,
    id: 'getHosts',
    summary: 'Hosts with an incident, a page at a time',
    role: 'read',
    query: page.hostsQuery,
    answer: page.hostsAnswer,
    refusals: [404, 503],
  }),
  host: route({
    method: 'get',
    path: `${API_BASE}/hosts/{host}`,
    id: 'getHost',
    summary: 'All that is known of one host, which need not have an incident',
    role: 'read',
    params: hostParam,
    answer: page.hostAnswer,
    refusals: [404, 503],
  }),
  whatIf: route({
    method: 'get',
    path: `${API_BASE}/hosts/{host}/what-if`,
    id: 'getWhatIf',
    summary: 'What a decision about a host would change, before it is made',
    role: 'read',
    params: hostParam,
    query: page.whatIfQuery,
    answer: page.whatIfAnswer,
    refusals: [404, 503],
  }),
  explore: route({
    method: 'get',
    path: `${API_BASE}/explore`,
    id: 'explore',
    summary: 'Stored flows or mail sessions, with the SQL behind them; as JSON or CSV',
    role: 'read',
    query: page.exploreQuery,
    answer: page.exploreAnswer,
    mediaTypes: ['application/json', 'text/csv'],
    refusals: [404, 503],
  }),
  blocks: route({
    method: 'get',
    path: `${API_BASE}/blocks`,
    id: 'getBlocks',
    summary: 'Blocked and waiting hosts, and each list with what would change in it',
    role: 'read',
    answer: page.blocksAnswer,
    refusals: [404, 503],
  }),
  list: route({
    method: 'get',
    path: `${API_BASE}/blocks/{target}/{family}`,
    id: 'getList',
    summary: 'One list: its text, revisions and what would change',
    role: 'read',
    params: z.object({ target: z.string().min(1).max(63), family: z.enum(ACL_FAMILIES) }),
    answer: page.listAnswer,
    refusals: [404, 503],
  }),
  coverage: reading('coverage', 'getCoverage', 'Routers, and what cannot be seen', page.coverageAnswer),
  health: reading('health', 'getHealth', 'Is it working, and with which configuration', page.healthAnswer),
  events: route({
    method: 'get',
    path: `${API_BASE}/events`,
    id: 'getEvents',
    summary:
      'Alerts as server-sent events for as long as the client stays; with Last-Event-ID, those that it missed first',
    role: 'read',
    answer: z.string(),
    mediaTypes: ['text/event-stream'],
    refusals: [503],
  }),
} as const;

export const ROUTES: readonly Route[] = [
  ...Object.values(PAGE_ROUTES),
  ...Object.values(SESSION_ROUTES),
  ...Object.values(COMMAND_ROUTES),
  ...Object.values(ACL_ROUTES),
];

/** Schemas with a name of their own in the document. */
export const NAMED_SCHEMAS: Readonly<Record<string, z.ZodType>> = {
  Problem: page.problemSchema,
  Alert: alertSchema,
  HostRow: page.hostRow,
  BlockRow: page.blockRow,
  ExporterLine: page.exporterLine,
  Series: page.seriesAnswer,
  Mark: page.mark,
  TargetState: page.targetState,
  ListDiff: page.listDiff,
  AuditEntry: page.auditEntry,
  EvidenceRow: page.evidenceRow,
  PolicyStatus: page.policyStatus,
};
