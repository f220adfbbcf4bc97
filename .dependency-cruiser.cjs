/** The boundaries of the design, checked by `npm run boundaries`. */
const PURE = '^src/(flow|decode|detect|messages|acl)/';

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'pure-core-does-no-io',
      comment:
        'flow, decode, detect and the renderers are functions of their input: no I/O, no clock, no logging',
      severity: 'error',
      from: { path: PURE },
      to: {
        path: '^(node:)?(fs|net|dgram|http|https|child_process|worker_threads|timers|process|dns|tls|readline|cluster)(/|$)|node_modules/(pino|prom-client|hono|kafkajs|@clickhouse|chdb)/',
      },
    },
    {
      name: 'pure-core-imports-pure-core',
      severity: 'error',
      from: { path: PURE },
      to: {
        path: '^src/',
        pathNot: `${PURE}|^src/errors\\.ts$|^src/config/(schema|values)\\.ts$`,
      },
    },
    {
      name: 'nobody-imports-service',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(service|cli)/' },
      to: { path: '^src/service/' },
    },
    {
      name: 'only-service-and-cli-import-http',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(service|cli|http|web)/' },
      to: { path: '^src/http/' },
    },
    {
      name: 'the-page-takes-types-only',
      comment: 'the page runs in a browser: of the service it knows the types of answers, and no code',
      severity: 'error',
      from: { path: '^src/web/' },
      to: { path: '^src/', pathNot: '^src/web/', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'nobody-imports-the-page',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/web/' },
      to: { path: '^src/web/' },
    },
    {
      name: 'publish-collect-and-store-meet-in-the-stream',
      severity: 'error',
      from: { path: '^src/(publish|collect|store)/' },
      to: { path: '^src/(publish|collect|store)/', pathNot: '^src/$1/' },
    },
    {
      name: 'acl-knows-no-configuration',
      severity: 'error',
      from: { path: '^src/acl/' },
      to: { path: '^src/config/' },
    },
    {
      name: 'nobody-imports-cli',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/cli/' },
      to: { path: '^src/cli/' },
    },
    {
      name: 'kafkajs-in-one-place',
      severity: 'error',
      from: { pathNot: '^src/stream/kafka/' },
      to: { path: 'node_modules/kafkajs' },
    },
    {
      name: 'clickhouse-in-one-place',
      severity: 'error',
      from: { pathNot: '^(src/store|test)/' },
      to: { path: 'node_modules/(@clickhouse|chdb)' },
    },
    {
      name: 'netflowv9-in-one-place',
      severity: 'error',
      from: { pathNot: '^(src/decode|test)/' },
      to: { path: 'node_modules/node-netflowv9' },
    },
    {
      name: 'nodemailer-in-one-place',
      severity: 'error',
      from: { pathNot: '^(src/notify/mail|test)' },
      to: { path: 'node_modules/nodemailer' },
    },
    {
      name: 'notify-reads-no-stream-and-no-store',
      comment: 'the role hands it alerts; it knows neither where they come from nor the block lists',
      severity: 'error',
      from: { path: '^src/notify/' },
      to: { path: '^src/(stream|store|publish|push|collect|detect)/' },
    },
    {
      name: 'ssh-in-one-place',
      severity: 'error',
      from: { pathNot: '^(src/push|test)/' },
      to: { path: 'node_modules/(ssh2|fast-xml-parser)' },
    },
    {
      name: 'koffi-in-one-place',
      severity: 'error',
      from: { pathNot: '^src/native\\.ts$' },
      to: { path: 'node_modules/(koffi|@koromix)' },
    },
    {
      name: 'src-does-not-import-tests',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^test/' },
    },
    {
      name: 'no-unresolvable',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default'],
    },
  },
};
