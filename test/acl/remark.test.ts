import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sanitiseRemark } from '../../src/acl/remark.ts';

describe('a remark', () => {
  it('keeps harmless text as it is', () => {
    expect(sanitiseRemark('sender mail-1, ops_team.example:25/tcp')).toBe(
      'sender mail-1, ops_team.example:25/tcp',
    );
  });

  it('cannot begin a new line of configuration', () => {
    expect(sanitiseRemark('mail\nno ip access-list extended X\r\n!')).toBe(
      'mail no ip access-list extended X',
    );
  });

  it('cannot end a quoted comment', () => {
    expect(sanitiseRemark('a" ; flush ruleset ; comment "b')).toBe('a flush ruleset comment b');
  });

  it('keeps the letter of an accented letter', () => {
    expect(sanitiseRemark('Jürgen Müller')).toBe('Jurgen Muller');
  });

  it('holds only its own characters, at most 100, whatever the text is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => {
        expect(sanitiseRemark(text)).toMatch(
          /^([A-Za-z0-9._:/,-]([A-Za-z0-9 ._:/,-]{0,98}[A-Za-z0-9._:/,-])?)?$/,
        );
      }),
    );
  });
});
