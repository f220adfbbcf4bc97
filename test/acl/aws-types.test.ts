/** The JSON for AWS before the types of Amazon's own client, by the compiler: it is what `create-network-acl-entry` is given. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { renderAcl } from '../../src/acl/render.ts';
import { offender, request } from '../support/acl-requests.ts';

// Beside the modules, so that the import is found.
let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(import.meta.dirname, '../../node_modules/.aws-types-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const list = (family: '4' | '6') =>
  renderAcl(
    request({
      platform: 'aws-nacl',
      kind: 'offenders',
      family,
      interface: 'acl-0a1b2c3d4e5f',
      offenders: ['192.0.2.55', '192.0.2.77', '2001:db8:1::55'].map((host) => offender(host)),
    }),
  ).text;

/** What the compiler says of the texts as inputs of the client, each in a file of its own. */
function mistakes(...texts: readonly string[]): string[][] {
  const files = texts.map((text, i) => {
    const { entries, unused } = JSON.parse(text);
    const file = join(directory, `list${i}.ts`);
    writeFileSync(
      file,
      `import type { CreateNetworkAclEntryCommandInput, DeleteNetworkAclEntryCommandInput, ReplaceNetworkAclEntryCommandInput } from '@aws-sdk/client-ec2';
export const entries: (CreateNetworkAclEntryCommandInput & ReplaceNetworkAclEntryCommandInput)[] = ${JSON.stringify(entries)};
export const unused: DeleteNetworkAclEntryCommandInput[] = ${JSON.stringify(unused)};
`,
    );
    return file;
  });
  const program = ts.createProgram(files, {
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    target: ts.ScriptTarget.ES2023,
    types: [],
  });
  return files.map((file) => {
    const source = program.getSourceFile(file);
    return ts
      .getPreEmitDiagnostics(program, source)
      .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'));
  });
}

describe('the JSON for AWS', () => {
  it('has the types of the client, and nothing that is nearly so has', { timeout: 120_000 }, () => {
    const text = list('4');
    const [four, six, action, port, number, without, unknown] = mistakes(
      text,
      list('6'),
      text.replace('"RuleAction": "deny"', '"RuleAction": "allowed"'),
      text.replace('"From": 25', '"From": "25"'),
      text.replace('"RuleNumber": 1', '"RuleNumber": "1"'),
      text.replace('"RuleAction": "deny",', ''),
      text.replace('"CidrBlock"', '"Cidr"'),
    );
    expect([four, six]).toEqual([[], []]);
    expect(action.join()).toContain('"allowed"');
    expect(port.join()).toContain("'string' is not assignable to type 'number'");
    expect(number.join()).toContain("'string' is not assignable to type 'number'");
    expect(without.join()).toContain('RuleAction');
    expect(unknown.join()).toContain('"Cidr"');
  });
});
