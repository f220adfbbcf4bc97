/**
 * A rule model as JSON, kept beside each published revision, so that an earlier list can be judged before it returns.
 *
 * A rollback must never bring back what an interlock of today forbids: the kept rules pass the interlocks again, and the
 * text is rendered from what is left of them, never copied from the old file.
 */

import { z } from 'zod';
import { RogueSmtpError } from '../errors.ts';
import { formatPrefix, type Prefix, parsePrefix } from '../flow/prefix.ts';
import { type AllowanceLimits, withAllowances } from './allowances.ts';
import { type AclInput, isMeantForNobody } from './build.ts';
import { assertSafe, createInterlock, createPrefixInterlock, type InterlockInput } from './interlocks.ts';
import { ACL_FAMILIES, type AclModel, isHost, type LeftOut } from './model.ts';
import { ACL_KINDS } from './platforms.ts';
import { sanitiseRemark } from './remark.ts';

const prefix = z.string().transform((text, context): Prefix => {
  const parsed = parsePrefix(text);
  if (parsed.ok) return parsed.prefix;
  context.addIssue({ code: 'custom', message: parsed.reason });
  return z.NEVER;
});

const storedModel = z.strictObject({
  v: z.literal(1),
  kind: z.enum(ACL_KINDS),
  family: z.enum(ACL_FAMILIES),
  interface: z.string().nullable(),
  internal: z.array(prefix),
  rules: z.array(
    z.strictObject({
      action: z.enum(['permit', 'deny']),
      source: prefix.nullable(),
      destination: prefix.nullable(),
      remark: z.string().transform(sanitiseRemark),
    }),
  ),
});

export function encodeModel(model: AclModel): string {
  const text = (one: Prefix | null) => (one === null ? null : formatPrefix(one));
  const { kind, family, interface: lan, internal, rules } = model;
  return JSON.stringify({
    v: 1,
    kind,
    family,
    interface: lan,
    internal: internal.map(text),
    rules: rules.map(({ action, source, destination, remark }) => ({
      action,
      source: text(source),
      destination: text(destination),
      remark,
    })),
  });
}

/** Null for what was not written here. */
export function decodeModel(text: string): AclModel | null {
  try {
    const parsed = storedModel.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}

/**
 * What of a kept list may be in force today: denied hosts that an interlock speaks for are left out. Throws RogueSmtpError
 * `refused` for a policy that would deny a sender of today or everyone.
 */
export function recheckModel(
  model: AclModel,
  input: InterlockInput & Pick<AclInput, 'withoutSenders'>,
  allowances?: AllowanceLimits,
): { readonly model: AclModel; readonly leftOut: readonly LeftOut[] } {
  const leftOut: LeftOut[] = [];
  let { rules } = model;
  if (model.kind === 'offenders') {
    const refusal = createInterlock(input);
    const prefixRefusal = createPrefixInterlock(input, refusal);
    // Who may send where is for today's senders to say, so the permits of that time are made anew.
    const denials = rules.filter(({ action, source }) => {
      if (action === 'permit') return false;
      const reason =
        source === null ? 'is everyone' : isHost(source) ? refusal(source.bytes) : prefixRefusal(source);
      if (reason === null) return true;
      leftOut.push({ host: source === null ? 'any' : formatPrefix(source), reason });
      return false;
    });
    const allowed = withAllowances(denials, model.family, input, allowances);
    rules = allowed.rules;
    leftOut.push(...allowed.leftOut);
  } else if (
    !isMeantForNobody({ ...input, family: model.family }) &&
    !rules.some(({ action, source }) => action === 'permit' && source !== null)
  ) {
    throw new RogueSmtpError('refused', 'the kept policy is refused: it has no sender');
  }
  const checked: AclModel = { ...model, rules };
  assertSafe(checked, input);
  return { model: checked, leftOut };
}

/** The hosts and prefixes that a list denies by name. */
export function deniedHosts({ rules }: AclModel): readonly string[] {
  return rules.flatMap(({ action, source }) =>
    action === 'deny' && source !== null ? [formatPrefix(source)] : [],
  );
}
