/**
 * The lists of the IOS family before two programs from PyPI: aerleon writes the same policy by itself, ciscoconfparse2 reads
 * ours as the tree of a configuration. Neither knows this project.
 */

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AclPlatform } from '../../src/acl/platforms.ts';
import { renderAcl } from '../../src/acl/render.ts';
import { prefix, request, sender } from '../support/acl-requests.ts';
import { lacksPython, PYTHON_HOME } from '../support/requirements.ts';

const SENDERS = {
  '4': ['192.0.2.100/32', '198.51.100.64/29', '203.0.113.0/25'],
  '6': ['2001:db8:1::100/128', '2001:db8:2::/64'],
} as const;

const LISTS = [
  { platform: 'cisco-ios', family: '4', target: 'cisco', options: 'extended', syntax: 'ios' },
  { platform: 'cisco-ios', family: '6', target: 'cisco', options: 'inet6', syntax: 'ios' },
  { platform: 'cisco-iosxr', family: '4', target: 'ciscoxr', options: 'extended', syntax: 'iosxr' },
  { platform: 'cisco-iosxr', family: '6', target: 'ciscoxr', options: 'inet6', syntax: 'iosxr' },
  { platform: 'cisco-nxos', family: '4', target: 'cisconx', options: 'extended', syntax: 'nxos' },
  { platform: 'arista-eos', family: '4', target: 'arista', options: 'extended', syntax: 'ios' },
  { platform: 'cisco-asa', family: '4', target: 'ciscoasa', options: 'in', syntax: null },
] as const;

// The senders are outside networks.internal, so that the policy has no lines for mail to them: aerleon is not asked for those.
const ours = (platform: AclPlatform, family: '4' | '6') =>
  renderAcl(
    request({
      platform,
      family,
      interface: 'lan0',
      internal: ['10.0.0.0/8', 'fd00::/8'].map(prefix),
      senders: [sender([...SENDERS[family]])],
    }),
  ).text;

/** Permits and denials in order, without what may be said in two ways: numbers, names of ports, hosts, both families. */
function entries(text: string): string[] {
  return text
    .split('\n')
    .flatMap(
      (line) =>
        /(?:^|\s)((?:permit|deny) (?:tcp|ip|ipv4|ipv6) .*)$/.exec(line.replace(/^[!#].*/, ''))?.[1] ?? [],
    )
    .map((entry) =>
      entry
        .toLowerCase()
        .replace(/ipv[46] any any/, 'ip any any')
        .replace(/ip any[46] any[46]$/, 'ip any any')
        .replace(/\bany[46]\b/g, 'any')
        .replace(/\bhost (\S+)/g, '$1')
        .replace(/(\S+)\/(?:32|128)\b/g, '$1')
        .replace(/ eq smtp\b/, ' eq 25')
        .trim(),
    );
}

const obstacle = lacksPython('aclgen', 'python');
describe.skipIf(obstacle !== null)(
  `second opinions${obstacle === null ? '' : ` (skipped: ${obstacle})`}`,
  { timeout: 120_000 },
  () => {
    let directory: string;
    let theirs: Map<string, string>;

    beforeAll(() => {
      directory = mkdtempSync(join(tmpdir(), 'second-opinions-'));
      for (const part of ['policies/pol', 'definitions', 'out'])
        mkdirSync(join(directory, part), { recursive: true });
      writeFileSync(
        join(directory, 'definitions/hosts.net'),
        `MAIL = ${[...SENDERS['4'], ...SENDERS['6']].join('\n       ')}\n`,
      );
      writeFileSync(join(directory, 'definitions/ports.svc'), 'SMTP = 25/tcp\n');
      const terms = `term mail {\n source-address:: MAIL\n destination-port:: SMTP\n protocol:: tcp\n action:: accept\n}
term everyone {\n destination-port:: SMTP\n protocol:: tcp\n action:: deny\n}\nterm rest {\n action:: accept\n}\n`;
      LISTS.forEach(({ target, options }, i) => {
        const policy = `header {\n target:: ${target} list${i} ${options}\n}\n${terms}`;
        writeFileSync(join(directory, `policies/pol/list${i}.pol`), policy);
      });
      execFileSync(
        join(PYTHON_HOME, 'bin/aclgen'),
        [
          ...['--base_directory', join(directory, 'policies')],
          ...['--definitions_directory', join(directory, 'definitions')],
          ...['--output_directory', join(directory, 'out')],
        ],
        { stdio: 'ignore' },
      );
      theirs = new Map(
        readdirSync(join(directory, 'out')).map((name) => [
          name.split('.')[0],
          readFileSync(join(directory, 'out', name), 'utf8'),
        ]),
      );
    }, 120_000);
    afterAll(() => rmSync(directory, { recursive: true, force: true }));

    it.each(LISTS.map((list, i) => ({ ...list, i })))(
      'aerleon writes the IPv$family policy for $platform with the same entries',
      ({ platform, family, i }) => {
        const their = entries(theirs.get(`list${i}`) ?? '');
        expect(their.length).toBe(SENDERS[family].length + 2);
        expect(entries(ours(platform, family))).toEqual(their);
      },
    );

    it('ciscoconfparse2 finds every entry in its list and the binding in its interface, and nothing else', () => {
      const script = `
import json, sys
from ciscoconfparse2 import CiscoConfParse
out = []
for file, syntax in json.loads(sys.argv[1]):
    parsed = CiscoConfParse(file, syntax=syntax)
    tops = [o for o in parsed.objs if o.indent == 0 and o.text.strip() and not o.text.startswith('!')]
    out.append([[o.text, [c.text.strip() for c in o.all_children]] for o in tops])
print(json.dumps(out))
`;
      const readable = LISTS.filter(({ syntax }) => syntax !== null);
      const files = readable.map(({ platform, family, syntax }, i) => {
        const file = join(directory, `ours${i}`);
        writeFileSync(file, ours(platform, family));
        return [file, syntax];
      });
      const printed = execFileSync(join(PYTHON_HOME, 'bin/python'), ['-c', script, JSON.stringify(files)], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      const trees: [string, string[]][][] = JSON.parse(printed);
      readable.forEach(({ platform, family }, i) => {
        const [list, face, ...more] = trees[i];
        expect(more).toEqual([]);
        const name = /SMTP-POLICY6?-[0-9a-f]{8}$/.exec(list[0])?.[0];
        expect(list[1].filter((line) => /\b(permit|deny) /.test(line))).toHaveLength(
          SENDERS[family].length + 2,
        );
        expect(list[1].every((line) => /remark|permit|deny|^!/.test(line))).toBe(true);
        expect([platform, face[0], face[1].filter((line) => line !== '!')]).toEqual([
          platform,
          'interface lan0',
          [expect.stringContaining(` ${name} in`)],
        ]);
      });
    });
  },
);
