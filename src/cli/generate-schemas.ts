/**
 * Writes the JSON Schemas and `openapi.json` in `schemas/`, and the pages of docs/ that follow from the code: `npm run schemas`. CI checks that they are
 * up to date.
 */

import { writeFileSync } from 'node:fs';
import { z } from 'zod';
import { configJsonSchema } from '../config/reference.ts';
import { referencePage } from '../config/reference-page.ts';
import { openApiDocument } from '../http/api/openapi.ts';
import { alertSchema, incidentSchema } from '../messages/alert.ts';
import { decisionSchema } from '../messages/decision.ts';

const SCHEMAS = [
  ['alert', alertSchema, 'output'],
  ['incident', incidentSchema, 'output'],
  ['decision', decisionSchema, 'output'],
] as const;

function write(path: string, text: string): void {
  writeFileSync(new URL(`../../${path}`, import.meta.url), text);
}

function writeSchema(name: string, json: object): void {
  write(
    `schemas/${name}.schema.json`,
    `${JSON.stringify({ $id: `${name}.schema.json`, ...json }, null, 2)}\n`,
  );
}

for (const [name, schema, io] of SCHEMAS)
  writeSchema(
    name,
    z.toJSONSchema(schema, {
      io,
      unrepresentable: 'any',
      // Fields may be added to messages within a version: who validates them must not refuse those of a later release.
      override: ({ jsonSchema }) => {
        if (io === 'output' && jsonSchema.additionalProperties === false)
          delete jsonSchema.additionalProperties;
      },
    }),
  );
writeSchema('config', configJsonSchema());
write('schemas/openapi.json', `${JSON.stringify(openApiDocument(), null, 2)}\n`);
write('docs/configuration.md', referencePage());
