/**
 * From which grade on an incident raises alerts (`alerts`): for all hosts, and for groups of them.
 *
 * Pure. It says who is told of an incident, never what an incident is: one below its grade is kept, shown and blocked like any
 * other.
 */

import type { Config } from '../config/schema.ts';
import { createPrefixTable } from '../flow/prefix.ts';
import { GRADES, type Grade } from '../messages/alert.ts';

/** The number of the grade, 1 (attempted) to 4 (bulk), for a host by its 16 address bytes and the name of its site. */
export type AlertGrade = (bytes: Uint8Array, offset: number, site: string) => number;

const gradeNumber = (grade: Grade): number => GRADES.indexOf(grade) + 1;

/** The first group that has the host decides. */
export function compileAlertGrades({ grade, groups }: Config['alerts']): AlertGrade {
  const compiled = groups.map((group) => ({
    hosts: group.hosts === undefined ? null : createPrefixTable(group.hosts),
    sites: group.sites === undefined ? null : new Set(group.sites),
    grade: gradeNumber(group.grade),
  }));
  const others = gradeNumber(grade);
  return (bytes, offset, site) => {
    for (const group of compiled) {
      if (group.sites !== null && !group.sites.has(site)) continue;
      if (group.hosts !== null && group.hosts.lookup(bytes, offset) < 0) continue;
      return group.grade;
    }
    return others;
  };
}
