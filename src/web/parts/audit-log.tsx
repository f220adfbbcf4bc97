/** Who decided what, and why: the newest first. */

import type { HostAnswer } from '../data/answers.ts';
import { API, withQuery } from '../data/request.ts';
import { useAnswer } from '../data/use-answer.ts';
import { hostPath } from '../router.ts';
import { plural } from '../words/format.ts';
import { shown } from '../words/shown.ts';
import { decisionWords } from './host-records.tsx';
import { Name, Section, Time } from './small.tsx';
import { Empty, Loaded } from './states.tsx';

type Entry = HostAnswer['decisions'][number];

export function AuditLog() {
  const answer = useAnswer<readonly Entry[]>(withQuery(`${API}/acl/log`, { limit: 100 }));
  return (
    <Section title="What was decided" note="the newest 100">
      <Loaded of={answer} rows={4}>
        {(entries) =>
          entries.length === 0 ? (
            <Empty>
              <p>Nothing was decided yet.</p>
            </Empty>
          ) : (
            <ol class="events scroll" tabIndex={0}>
              {[...entries]
                .sort((a, b) => (a.at < b.at ? 1 : -1))
                .map((entry) => (
                  <li
                    key={`${entry.at}${entry.what}${entry.host ?? ''}${entry.target ?? ''}${entry.family ?? ''}`}
                  >
                    <Time iso={entry.at} seconds /> <b>{shown(entry.by, 64)}</b> {decisionWords(entry.what)}{' '}
                    {entry.host === undefined ? null : (
                      <a href={hostPath(entry.host)}>
                        <Name text={entry.host} most={64} />
                      </a>
                    )}{' '}
                    {entry.target === undefined ? null : `${shown(entry.target)} IPv${entry.family ?? ''} `}
                    {shown(entry.why, 400)}
                    {changesOf(entry)}
                  </li>
                ))}
            </ol>
          )
        }
      </Loaded>
    </Section>
  );
}

function changesOf({ added = [], removed = [] }: Entry): string {
  const parts = [
    ...(added.length > 0 ? [`${plural(added.length, 'host')} in`] : []),
    ...(removed.length > 0 ? [`${plural(removed.length, 'host')} out`] : []),
  ];
  return parts.length === 0 ? '' : ` (${parts.join(', ')})`;
}
