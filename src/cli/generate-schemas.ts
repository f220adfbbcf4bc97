/** Writes the JSON Schemas and `openapi.json` in `schemas/` from the zod schemas: `npm run schemas`. CI checks that they are up to date. */

import { writeFileSync } from 'node:fs';
import { z } from 'zod';
import { configSchema } from '../config/schema.ts';
import { openApiDocument } from '../http/api/openapi.ts';
import { alertSchema, incidentSchema } from '../messages/alert.ts';
import { decisionSchema } from '../messages/decision.ts';

const SCHEMAS = [
  ['alert', alertSchema, 'output'],
  ['incident', incidentSchema, 'output'],
  ['decision', decisionSchema, 'output'],
  ['config', configSchema, 'input'],
] as const;

for (const [name, schema, io] of SCHEMAS) {
  const json = z.toJSONSchema(schema, {
    io,
    unrepresentable: 'any',
    // Fields may be added to messages within a version: who validates them must not refuse those of a later release.
    override: ({ jsonSchema }) => {
      if (io === 'output' && jsonSchema.additionalProperties === false)
        delete jsonSchema.additionalProperties;
    },
  });
  write(`${name}.schema.json`, { $id: `${name}.schema.json`, ...json });
}
write('openapi.json', openApiDocument());

function write(name: string, content: object): void {
  const file = new URL(`../../schemas/${name}`, import.meta.url);
  writeFileSync(file, `${JSON.stringify(content, null, 2)}\n`);
}
