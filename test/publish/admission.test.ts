/** The churn guard: so many new hosts at once wait, and nobody is ever kept in. */

import { describe, expect, it } from 'vitest';
import { type Admissions, admit } from '../../src/publish/admission.ts';

const AT = '2026-03-01T10:00:00.000Z';
const hosts = (count: number, from = 0, approved = false) =>
  Array.from({ length: count }, (_, i) => ({ key: `|10.0.0.${from + i}`, approved }));
const sizes = ({ admitted, held }: Admissions) => [admitted.size, held.size];

describe('the churn guard', () => {
  it('admits everyone where there was no list yet, which so has not changed', () => {
    expect(sizes(admit(hosts(100), null, 10, AT))).toEqual([100, 0]);
  });

  it('admits a few new ones, and holds all of many back', () => {
    const before = admit(hosts(5), null, 3, AT);
    expect(sizes(admit(hosts(8), before, 3, AT))).toEqual([8, 0]);
    expect(sizes(admit(hosts(9), before, 3, AT))).toEqual([5, 4]);
  });

  it('does not let those in that were held back because they became fewer, but lets others in', () => {
    const held = admit(hosts(9), admit(hosts(5), null, 3, AT), 3, AT);
    expect(sizes(admit(hosts(6), held, 3, AT))).toEqual([5, 1]);
    expect(sizes(admit([...hosts(6), ...hosts(1, 50)], held, 3, AT))).toEqual([6, 1]);
  });

  it('admits who was approved by hand, however many they are', () => {
    const held = admit(hosts(50), admit([], null, 3, AT), 3, AT);
    expect(sizes(held)).toEqual([0, 50]);
    expect(sizes(admit(hosts(50, 0, true), held, 3, AT))).toEqual([50, 0]);
  });

  it('lets everyone go at once', () => {
    expect(sizes(admit([], admit(hosts(50), null, 3, AT), 3, AT))).toEqual([0, 0]);
  });
});
