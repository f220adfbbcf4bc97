/**
 * Junos: a firewall filter, replaced as a whole within one commit.
 *
 * In `set` form the old filter is deleted first, in the hierarchical form it is tagged for replacement. Both say the same
 * filter (junos-filter.ts); neither may leave a term or a member of the filter before.
 */

import type { AclModel } from '../model.ts';
import type { AclForm } from '../platforms.ts';
import { revisionOf } from '../revision.ts';
import { artefact, comment, INBOUND } from './artefact.ts';
import { type JunosFilter, junosFilter } from './junos-filter.ts';
import { bindingLines, hierarchicalLines } from './junos-hierarchical.ts';

/** Comments that Junos writes itself and does not keep; those with one `#` it may keep at the next statement. */
const UNKEPT_COMMENT = '##';

/** For `load set` or `load replace`. Without an interface the filter is created, but bound to nothing. */
export function renderJunos(model: AclModel, { form }: { readonly form: AclForm | undefined }): string {
  const filter = junosFilter(model);
  const hierarchical = form === 'hierarchical';
  const mark = hierarchical ? UNKEPT_COMMENT : '#';
  const unbound = [
    'No interface is configured ("interface" of the ACL target), so bind the filter yourself:',
    ...(hierarchical ? bindingLines(filter) : [setBinding(filter)]),
  ];
  const body = [
    ...(hierarchical ? hierarchicalLines(filter) : setLines(filter)),
    ...(filter.isBound ? [] : comment(mark, unbound)),
  ];
  const revision = revisionOf(body.join('\n'));
  const { name, face, unit } = filter;
  const guide = {
    place: INBOUND,
    apply: [
      'configure exclusive',
      hierarchical
        ? 'load replace FILE                      (never "load merge", which ignores "replace:" and keeps what was there)'
        : 'load set FILE                          ("statement not found" for the deletions is a mere warning the first time)',
      'show | compare',
      'commit confirmed 5',
      'commit                                 (after the check, within five minutes)',
    ],
    verify: [`show firewall filter ${name}`, `show interfaces filters ${face}.${unit}`],
    rollback: ['rollback 1', 'commit'],
    limits: [
      `An interface has one input filter per family: where yours is bound already, do not load the last ${
        hierarchical ? 'block' : 'line'
      }, but say`,
      `"filter input-list [ ${name} YOURS ]" and take the term "rest" out of this one: its accept would end the list.`,
      ...(model.family === '6'
        ? [
            '"next-header tcp" does not see TCP behind extension headers; newer MX have "payload-protocol tcp" for that.',
          ]
        : []),
      'On SRX a filter is stateless and comes before the security policies.',
    ],
    unverified: 'no device has read it.',
  };
  return artefact(mark, model, revision, guide, body);
}

function setLines(filter: JunosFilter): readonly string[] {
  const { name, family, terms, members, isBound } = filter;
  const path = `firewall family ${family} filter ${name}`;
  const list = `policy-options prefix-list ${name}`;
  return [
    `delete ${path}`,
    ...(members === null ? [] : [`delete ${list}`]),
    ...(members ?? []).flatMap(({ prefix, remark }) => [...remarkLine(remark), `set ${list} ${prefix}`]),
    ...terms.flatMap((term) => [
      ...remarkLine(term.remark),
      ...term.conditions.map((words) => `set ${path} term ${term.name} from ${words.join(' ')}`),
      ...term.actions.map((words) => `set ${path} term ${term.name} then ${words.join(' ')}`),
    ]),
    ...(isBound ? [setBinding(filter)] : []),
  ];
}

const remarkLine = (remark: string) => (remark === '' ? [] : [`# ${remark}`]);

function setBinding({ face, unit, family, name }: JunosFilter): string {
  return `set interfaces ${face} unit ${unit} family ${family} filter input ${name}`;
}
