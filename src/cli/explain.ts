/** `rogue-smtp explain HOST`: why a host is graded and blocked or not, as text or JSON. */

import type { Explanation } from '../api/explain.ts';
import type { LoadedConfig } from '../config/load.ts';
import { withModel } from './model.ts';
import type { ReportStreams } from './reports.ts';
import { printable, shortTime, zoneName } from './table.ts';

/** Throws RogueSmtpError `usage` for what is no address, or an address of several sites without its site. */
export async function explainCommand(
  loaded: LoadedConfig,
  host: string,
  flags: { readonly json?: boolean },
  streams: Pick<ReportStreams, 'stdout'>,
): Promise<void> {
  await withModel(loaded, async (model) => {
    const explanation = await model.explain(host);
    streams.stdout.write(
      flags.json
        ? `${JSON.stringify(explanation)}\n`
        : describeExplanation(explanation)
            .map((line) => `${printable(line)}\n`)
            .join(''),
    );
  });
}

/** Lines of text. */
export function describeExplanation({
  summary,
  policy,
  incident,
  block,
  lacks,
  lists,
  next,
}: Explanation): string[] {
  const part = (title: string, lines: readonly string[]) =>
    lines.length === 0 ? [] : ['', title, ...lines.map((line) => `  ${line}`)];
  return [
    summary,
    ...part(
      'What the configuration says:',
      policy.map(({ text, key }) => `${text}  [${key}]`),
    ),
    ...(incident === null
      ? []
      : [
          ...part(
            `What was seen (grade ${incident.grade}${incident.flags.length === 0 ? '' : `, ${incident.flags.join(', ')}`}, last ${shortTime(incident.last_seen)} ${zoneName(Date.now())}):`,
            incident.reasons,
          ),
          ...part('Evidence that is missing:', incident.missing),
        ]),
    ...part('Why it is not blocked:', lacks),
    ...(lacks.length === 0 && block !== null ? part('Block:', [`${block.state}: ${block.reason}`]) : []),
    ...part(
      'Lists:',
      lists.map(
        ({ list, has, reason }) => `${list}: ${has ? 'has it' : `does not have it, since ${reason}`}`,
      ),
    ),
    ...part('Next:', next),
  ];
}
