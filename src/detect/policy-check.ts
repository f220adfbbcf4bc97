/**
 * Explains the policy: what a TCP flow from a source to a port of a destination would be, and which entries of the
 * configuration make it so.
 *
 * It asks the same compiled policy and the same interlocks as the detector, and only adds the words and the places. It
 * must never come to a verdict of its own.
 */

import type { AddressBytes } from '../flow/address.ts';
import { formatPrefix, type Prefix, prefixContains } from '../flow/prefix.ts';
import { BLOCK_PORT, blockInterlock } from './block.ts';
import { MESSAGE } from './message-weight.ts';
import { compilePolicy, PORT_CLASS, type PolicyConfig } from './policy.ts';
import { ANY_SITE } from './site-set.ts';

export interface PolicyQuestion {
  readonly source: AddressBytes;
  readonly destination: AddressBytes;
  readonly port: number;
  readonly nowMs: number;
  /** The name of the site of the source; without it the entries of every site count. */
  readonly site?: string;
}

interface PolicyReason {
  readonly text: string;
  /** Path of the configuration entry that says so, such as ['senders', 0]. */
  readonly path: readonly (string | number)[];
}

export interface PolicyAnswer {
  /**
   * `ignored`: no business of the detector. `authorised`: allowed. `offence`: the host gets an incident and may be
   * blocked when the evidence suffices. `alert_only`: it gets an incident and is never blocked for this. `expected`: what is
   * declared is told once and never blocked; more than that is an offence.
   */
  readonly outcome: 'ignored' | 'authorised' | 'offence' | 'alert_only' | 'expected';
  readonly reasons: readonly PolicyReason[];
  readonly policyVersion: string;
}

export function checkPolicy(config: PolicyConfig, question: PolicyQuestion): PolicyAnswer {
  const policy = compilePolicy(config);
  const { source, destination, port, nowMs } = question;
  const { submission } = config.detection;
  const site = question.site === undefined ? ANY_SITE : policy.siteNames.indexOf(question.site);
  const reasons: PolicyReason[] = [];
  const answer = (outcome: PolicyAnswer['outcome']): PolicyAnswer => ({
    outcome,
    reasons,
    policyVersion: policy.version,
  });
  const because = (text: string, ...path: (string | number)[]) => reasons.push({ text, path });

  const fromInside = describeEnd('source', source);
  const toInside = describeEnd('destination', destination);
  const portClass = policy.portClass[port];
  if (portClass === PORT_CLASS.none) {
    const isSubmission = submission.ports.includes(port);
    because(
      isSubmission
        ? `port ${port} is a submission port, and those are for clients: detection.submission.alert is off`
        : `port ${port} is no mail port`,
      ...(isSubmission ? ['detection', 'submission'] : ['detection', 'ports']),
    );
    return answer('ignored');
  }
  if (portClass === PORT_CLASS.mail) because(`port ${port} is a mail port`, 'detection', 'ports');
  else
    because(
      `port ${port} is a submission port, which raises alerts only: from ${submission.servers} servers or ${submission.sessions} sessions within ${submission.window / 60_000} min on`,
      'detection',
      'submission',
    );
  if (fromInside && toInside) {
    if (!policy.watchesInternal) {
      because('both ends are internal, and detection.internal.alert is off', 'detection', 'internal');
      return answer('ignored');
    }
    if (policy.isSender(destination, 0, nowMs, site)) {
      because('the destination is an authorised mail server', 'senders');
      return answer('ignored');
    }
  }
  if (!fromInside) {
    because(
      toInside ? 'mail that comes in from outside is no offence' : 'neither end is internal',
      'networks',
      'internal',
    );
    return answer('ignored');
  }

  const verdict = policy.verdict(source, 0, destination, 0, nowMs, site);
  const rule = config.senders.findIndex(({ name }) => name === verdict.sender);
  because(`the source ${verdict.reason}`, 'senders', ...(rule < 0 ? [] : [rule]));
  if (verdict.kind === 'authorised') return answer('authorised');
  const isExpected = describeExpected();
  if (port !== BLOCK_PORT) {
    because(`an ACL denies port ${BLOCK_PORT} only: this raises alerts`, 'detection');
    return answer('alert_only');
  }
  if (toInside) {
    because('mail between internal hosts raises alerts only', 'detection', 'internal');
    return answer('alert_only');
  }
  const neverBlocked = policy.isNeverBlocked(source, 0);
  const natPool = policy.isNatPool(source, 0);
  const isSender = policy.sendsAnywhere(source, 0, nowMs, site);
  const interlock = blockInterlock({
    neverBlocked,
    natPool,
    isSender,
    expected: false,
    hasSenders: policy.hasSenders(nowMs, site),
  });
  if (interlock !== null) {
    because(`never blocked: ${interlock.reason}`, ...placeOfInterlock());
    return answer('alert_only');
  }
  if (verdict.kind === 'restricted') {
    because(
      'a block leaves the allowed destinations of the sender open, and is left out on platforms whose lists cannot say that',
      'senders',
      ...(rule < 0 ? [] : [rule]),
    );
  }
  if (policy.missingLists !== null)
    because(policy.missingLists, config.missingLists === undefined ? 'senders' : 'lists');
  because(
    `blocks from grade ${config.block.grade} on, in mode ${config.block.mode}`,
    'block',
    config.block.mode === 'observe' ? 'mode' : 'grade',
  );
  if (config.block.grade === 'conversed' || config.block.grade === 'bulk') {
    const { plain_payload_bytes: plain, tls_payload_bytes: tls } = config.detection.conversed;
    because(
      `a session proves mail from ${plain} bytes of payload on; over TLS several of ${tls} bytes do`,
      'detection',
      'conversed',
    );
  }
  return answer(isExpected ? 'expected' : 'offence');

  function placeOfInterlock(): (string | number)[] {
    if (neverBlocked) {
      const at = bestMatch(config.block.never, source);
      return at < 0 ? ['collector'] : ['block', 'never', at];
    }
    if (natPool) return ['networks', 'nat', bestMatch(config.networks.nat, source)];
    return isSender && rule >= 0 ? ['senders', rule] : ['senders'];
  }

  /** Says what is declared of the source. True when something is, for this destination and now. */
  function describeExpected(): boolean {
    const expectation = policy.expect(source, 0, destination, 0, MESSAGE.greeting, nowMs, site);
    if (expectation.kind === 'none') return false;
    const entry = config.expected.findIndex(({ name }) => name === expectation.name);
    because(`the source ${expectation.text}`, 'expected', entry);
    return expectation.kind === 'within';
  }

  /** Says whether an end is internal, and by which prefix. */
  function describeEnd(end: string, address: AddressBytes): boolean {
    const at = bestMatch(config.networks.internal, address);
    if (at < 0) because(`the ${end} is outside`, 'networks', 'internal');
    else {
      because(
        `the ${end} is internal (${formatPrefix(config.networks.internal[at])})`,
        'networks',
        'internal',
        at,
      );
    }
    return at >= 0;
  }
}

/** Index of the longest prefix that contains the address, -1 for none. */
function bestMatch(prefixes: readonly Prefix[], address: AddressBytes): number {
  let best = -1;
  prefixes.forEach((prefix, i) => {
    if (!prefixContains(prefix, address)) return;
    if (best < 0 || prefix.length > prefixes[best].length) best = i;
  });
  return best;
}
