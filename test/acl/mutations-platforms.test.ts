/** The mistakes of each platform, made on purpose: its reader, or the questions that are asked of a list, must notice. */

import { describe, expect, it } from 'vitest';
import type { AclForm, AclPlatform } from '../../src/acl/platforms.ts';
import { renderAcl } from '../../src/acl/render.ts';
import type { Flow, Verdict } from '../support/acl-evaluators/flow.ts';
import { flow, judge, offender, prefix, request, sender } from '../support/acl-requests.ts';

const POLICY: readonly (readonly [Flow, Verdict])[] = [
  [flow('192.0.2.100'), 'permit'],
  [flow('192.0.2.66', { destination: '198.51.100.26' }), 'permit'],
  [flow('192.0.2.66'), 'deny'],
  [flow('192.0.2.3'), 'permit'],
  [flow('192.0.2.55'), 'deny'],
  [flow('192.0.2.55', { sourcePort: 25 }), 'deny'],
  [flow('192.0.2.55', { port: 80 }), 'permit'],
  [flow('192.0.2.55', { port: 587 }), 'permit'],
  [flow('192.0.2.55', { protocol: 'udp' }), 'permit'],
  [flow('192.0.2.55', { sourcePort: 25, port: 40_000 }), 'permit'],
  [flow('192.0.2.77', { destination: '198.51.100.26' }), 'deny'],
  [flow('192.0.2.77', { destination: '192.0.2.100' }), 'permit'],
  [flow('198.51.100.25', { destination: '192.0.2.100', from: 'wan0' }), 'permit'],
  [flow('198.51.100.25', { destination: '192.0.2.77', from: 'wan0' }), 'permit'],
];

const OFFENDERS: readonly (readonly [Flow, Verdict])[] = [
  [flow('192.0.2.55'), 'deny'],
  [flow('192.0.2.77'), 'deny'],
  [flow('192.0.2.77', { sourcePort: 25 }), 'deny'],
  [flow('192.0.2.54'), 'permit'],
  [flow('192.0.2.56'), 'permit'],
  [flow('192.0.2.100'), 'permit'],
  [flow('192.0.2.55', { port: 587 }), 'permit'],
  [flow('192.0.2.55', { protocol: 'udp' }), 'permit'],
  [flow('192.0.2.55', { sourcePort: 25, port: 40_000 }), 'permit'],
];

const textOf = (platform: AclPlatform, kind: 'policy' | 'offenders', lan = 'lan0', form?: AclForm) =>
  renderAcl(
    request({
      platform,
      form,
      kind,
      ...(lan === '' ? {} : { interface: lan }),
      senders: [
        sender(['192.0.2.100']),
        sender(['192.0.2.64/29'], { name: 'scanners', to: ['198.51.100.26'] }),
      ],
      never: [prefix('192.0.2.3')],
      offenders: ['192.0.2.55', '192.0.2.77'].map((host) => offender(host)),
    }),
    // Without its comments: a mistake in one of them is none.
  ).text.replace(/^(?:##?|!)(?: .*)?\n/gm, '');

function isRight(text: string, platform: AclPlatform, kind: 'policy' | 'offenders', form?: AclForm): boolean {
  try {
    const verdict = judge(text, platform, form);
    return (kind === 'policy' ? POLICY : OFFENDERS).every(([one, expected]) => verdict(one) === expected);
  } catch {
    return false;
  }
}

type Mutation = readonly [name: string, pattern: string | RegExp, replacement: string];

const IOS_LIKE: readonly Mutation[] = [
  ['the mail server as the destination only', 'host 192.0.2.100 any eq', 'any host 192.0.2.100 eq'],
  ['ip where a port needs tcp', 'deny tcp any any', 'deny ip any any'],
  ['allow instead of permit', 'permit tcp host 192.0.2.100', 'allow tcp host 192.0.2.100'],
  ['the port at the source', 'deny tcp any any eq 25', 'deny tcp any eq 25 any'],
  ['no port', 'deny tcp any any eq 25', 'deny tcp any any'],
  ['no final permit', /^ \d+ permit ip(v4)? any any\n/m, ''],
  ['a remark without a number', / 10 remark/, ' remark'],
  ['a number twice', /^ 20 permit/m, ' 10 permit'],
  ['an entry that is bound the other way', / (in|ingress)$/m, ' out'],
  ['no permit of the never-blocked host', /^ \d+ permit tcp host 192.0.2.3 .*\n/m, ''],
];

const WRONG: readonly (readonly [AclPlatform, 'policy' | 'offenders', readonly Mutation[], AclForm?])[] = [
  [
    'cisco-iosxr',
    'policy',
    [
      ...IOS_LIKE,
      ['a netmask', '0.0.0.7', '255.255.255.248'],
      ['the words of IOS', 'permit ipv4 any any', 'permit ip any any'],
      ['the binding of IOS', /ipv4 access-group (\S+) ingress/, 'ip access-group $1 in'],
    ],
  ],
  [
    'cisco-nxos',
    'policy',
    [
      ...IOS_LIKE,
      ['a wildcard mask', '192.0.2.64/29', '192.0.2.64 0.0.0.7'],
      ['the list of IOS', 'ip access-list', 'ip access-list extended'],
    ],
  ],
  ['arista-eos', 'policy', [...IOS_LIKE, ['a wildcard mask', '192.0.2.64/29', '192.0.2.64 0.0.0.7']]],
  [
    'cisco-asa',
    'policy',
    [
      ['a wildcard mask', '255.255.255.248', '0.0.0.7'],
      ['a prefix length', '192.0.2.64 255.255.255.248', '192.0.2.64/29'],
      ['the mail server as the destination only', 'host 192.0.2.100 any4', 'any4 host 192.0.2.100'],
      ['no final permit', /^.*permit ip any any\n/m, ''],
      ['ip with a port', 'deny tcp any4', 'deny ip any4'],
      ['no extended', 'extended deny', 'deny'],
      ['bound outbound', ' in interface', ' out interface'],
      ['another list bound', /access-group \S+/, 'access-group SMTP-POLICY'],
      ['the addresses of the other family', 'deny tcp any4', 'deny tcp any6'],
      [
        'the list of the other family bound after it',
        /(access-group \S+)-[0-9a-f]{8} in .*\n/,
        'access-list SMTP-OTHER extended permit ip any any\n$&access-group SMTP-OTHER in interface lan0\n',
      ],
    ],
  ],
  [
    'junos',
    'policy',
    [
      ['the mail server as the destination', 'source-address 192.0.2.100', 'destination-address 192.0.2.100'],
      ['no last term', /^.*term rest then accept\n/m, ''],
      ['the source port', /(t\d+ from )destination-port 25\n(.*t\d+ then count)/, '$1source-port 25\n$2'],
      ['a port without tcp', /^.* t5 from protocol tcp\n/m, ''],
      ['no deletion before', /^delete firewall.*\n/m, ''],
      ['the last term first', /^(delete firewall (.*)\n)/m, '$1set firewall $2 term rest then accept\n'],
      ['the words of IPv6', /protocol tcp/g, 'next-header tcp'],
      ['no length', '192.0.2.100/32', '192.0.2.100'],
      ['bound outbound', 'filter input', 'filter output'],
    ],
  ],
  [
    'junos',
    'offenders',
    [
      ['a list without members', /^set policy-options.*\n/gm, ''],
      ['no deletion of the members before', /^delete policy-options.*\n/m, ''],
      ['accepted', 'then discard', 'then accept'],
      ['no last term', /^.*term rest then accept\n/m, ''],
    ],
  ],
  [
    'junos',
    'policy',
    [
      ['the mail server as the destination', /source-address (\{\s+192.0.2.100)/, 'destination-address $1'],
      ['no last term', /^ +term rest \{\n.*\n +\}\n/m, ''],
      ['the source port', /destination-port(?![\s\S]*destination-port)/, 'source-port'],
      ['a port without tcp', /^ +protocol tcp;\n(?![\s\S]*protocol tcp)/m, ''],
      ['a filter that is added to the one before', /^ +replace:\n/m, ''],
      ['all filters taken away', /^firewall/m, 'replace:\nfirewall'],
      ['all interfaces taken away', /^interfaces/m, 'replace:\ninterfaces'],
      ['the words of IPv6', /protocol tcp/g, 'next-header tcp'],
      ['no length', '192.0.2.100/32', '192.0.2.100'],
      ['no semicolon', 'protocol tcp;', 'protocol tcp'],
      ['a brace too few', /\}\n$/, ''],
      ['bound outbound', 'input SMTP', 'output SMTP'],
      ['a term twice', 'term t2', 'term t1'],
      [
        'an address without braces',
        /source-address \{\s+192.0.2.100\/32;\s+\}/,
        'source-address 192.0.2.100/32;',
      ],
      ['another filter bound', /input SMTP-POLICY\S*;/, 'input SMTP-POLICY;'],
      ['a remark that ends early', '/* sender mail */', '/* sender */ mail */'],
    ],
    'hierarchical',
  ],
  [
    'junos',
    'offenders',
    [
      ['a list without members', /(prefix-list \S+) \{[^}]*\}/, '$1;'],
      ['members that are added to those before', /^ +replace:\n( +prefix-list)/m, '$1'],
      ['all lists taken away', /^policy-options/m, 'replace:\npolicy-options'],
      ['accepted', 'discard;', 'accept;'],
      ['no last term', /^ +term rest \{\n.*\n +\}\n/m, ''],
    ],
    'hierarchical',
  ],
  [
    'nokia-sros',
    'policy',
    [
      ['no default action', /^.*default-action accept\n/m, ''],
      ['a default of drop', 'default-action accept', 'default-action drop'],
      ['the mail server as the destination', /entry 10 match src-ip/, 'entry 10 match dst-ip'],
      ['the source port', /entry 40 match dst-port/, 'entry 40 match src-port'],
      ['an entry without protocol', /^.*entry 40 match protocol tcp\n/m, ''],
      ['a list that is not there', /prefix-list "([^"]+)-1"\n/, 'prefix-list "$1-9"\n'],
      ['the deny first', /entry 40 /g, 'entry 5 '],
      ['no length', 'prefix 192.0.2.100/32', 'prefix 192.0.2.100'],
    ],
  ],
  [
    'huawei-vrp',
    'policy',
    [
      ['no final permit', /^ rule \d+ permit ip\n/m, ''],
      ['a netmask', '0.0.0.7', '255.255.255.248'],
      ['the host mask of all bits', '192.0.2.100 0 ', '192.0.2.100 255.255.255.255 '],
      ['the mail server as the destination', 'source 192.0.2.100 0', 'destination 192.0.2.100 0'],
      ['ip with a port', 'deny tcp', 'deny ip'],
      ['the source port', 'deny tcp destination-port', 'deny tcp source-port'],
      ['a number twice', ' rule 10 permit', ' rule 5 permit'],
      ['bound outbound', 'traffic-filter inbound', 'traffic-filter outbound'],
      ['the view is not left', /^ quit\ninterface/m, 'interface'],
    ],
  ],
  [
    'openconfig',
    'policy',
    [
      ['a misspelt action', 'openconfig-acl:DROP', 'openconfig-acl:DENY'],
      ['the source port', /"destination-port"(?![\s\S]*"destination-port")/, '"source-port"'],
      ['a key that is not in the config', '"sequence-id": 20', '"sequence-id": 21'],
      ['no length', '192.0.2.100/32', '192.0.2.100'],
      ['a list that is not there', /"set-name": "[^"]+"/, '"set-name": "SMTP"'],
      ['bound outbound', /ingress-acl-set/g, 'egress-acl-set'],
      [
        'the deny of everything',
        '"protocol": "openconfig-packet-match-types:IP_TCP"\n',
        '"protocol": "openconfig-packet-match-types:IP_UDP"\n',
      ],
    ],
  ],
  [
    'iptables',
    'policy',
    [
      ['accepted for good', '-j RETURN', '-j ACCEPT'],
      ['the mail server as the destination', '-s 192.0.2.100/32', '-d 192.0.2.100/32'],
      ['no commit', 'COMMIT\n', ''],
      ['a port without tcp', '-p tcp -m tcp --dport 25 -m comment', '--dport 25 -m comment'],
      ['the source port', '--dport 25 -m comment', '--sport 25 -m comment'],
      ['appended instead of put first', '-I FORWARD 1', '-A FORWARD'],
      ['other chains flushed', '--noflush', ''],
      ['a jump elsewhere', /-j SMTP-POL4-lan0 2/, '-j SMTP-POL4 2'],
      ['the smarthost left out', '-d 198.51.100.26/32 ', ''],
    ],
  ],
  [
    'iptables',
    'offenders',
    [
      ['not swapped', /^swap.*\n/m, ''],
      ['a set that is not there', '--match-set smtp_off4_lan0', '--match-set smtp_off4'],
      ['the destination', 'lan0 src', 'lan0 dst'],
      ['a prefix', 'add smtp_off4_lan0_new 192.0.2.55', 'add smtp_off4_lan0_new 192.0.2.0/24'],
      ['a comment that ends early', 'comment "incident', 'comment "in"cident'],
    ],
  ],
  [
    'pf',
    'policy',
    [
      ['not quick', /quick /g, ''],
      ['a table that is not there', '<smtp_to0> port', '<smtp_to9> port'],
      ['no negation', 'from ! ', 'from '],
      ['a pass for good', 'block return in quick', 'pass in quick'],
      ['a port without proto', 'proto tcp ', ''],
      ['for outgoing packets', /block return in/g, 'block return out'],
      ['allow', 'block', 'deny'],
      ['the smarthost left out', '\t198.51.100.26/32\n', ''],
      ['braces around nothing', /<smtp_from1> persist \{[^}]*\}/, '<smtp_from1> persist {\n}'],
    ],
  ],
  [
    'mikrotik',
    'policy',
    [
      ['accepted for good', 'action=return', 'action=accept'],
      ['the mail server as the destination', 'src-address=192.0.2.100', 'dst-address=192.0.2.100'],
      ['the source port', 'dst-port=25 action=reject', 'src-port=25 action=reject'],
      ['a rule that is missing', /^ {2}add chain="[^"]+" src-address=192.0.2.3.*\n/m, ''],
      ['a jump elsewhere', /jump-target="([^"]+)"/g, 'jump-target="$1x"'],
      ['switched off', /disabled=no/g, 'disabled=yes'],
      ['a comment that ends early', 'comment="sender mail"', 'comment="sender "mail"'],
    ],
  ],
  [
    'mikrotik',
    'offenders',
    [
      ['a prefix', 'address=192.0.2.55/32', 'address=192.0.2.0/24'],
      ['another list', /src-address-list="/g, 'src-address-list="x'],
      ['an entry that is missing', /^:do \{ add list=.*192.0.2.55.*\n/m, ''],
      ['all protocols', /protocol=tcp /g, ''],
    ],
  ],
  [
    'vyos',
    'policy',
    [
      ['accepted for good', /action return/g, 'action accept'],
      ['the mail server as the destination', 'source address 192.0.2.100', 'destination address 192.0.2.100'],
      ['no deletion before', /^delete firewall ipv4 name.*\n/m, ''],
      ['the syntax of 1.3', 'set firewall ipv4 name', 'set firewall name'],
      ['a port without tcp', /^.*rule 50 protocol tcp\n/m, ''],
      ['not hooked', /^set firewall ipv4 forward.*\n/gm, ''],
      ['a jump elsewhere', 'jump-target SMTP-POLICY-lan0', 'jump-target SMTP-POLICY'],
    ],
  ],
  [
    'vyos',
    'offenders',
    [
      ['a prefix in a group of addresses', 'address 192.0.2.55', 'address 192.0.2.0/24'],
      ['no default action', /^.*default-action return\n/m, ''],
      ['members of before', /^delete firewall group.*\n/m, ''],
      ['another group', 'address-group SMTP-OFFENDERS-lan0\n', 'address-group SMTP\n'],
    ],
  ],
  [
    'fortios',
    'policy',
    [
      ['a policy that accepts', 'set action deny', 'set action accept'],
      ['no negation', 'set srcaddr-negate enable', 'set srcaddr-negate disable'],
      ['no negation of the destination', 'set dstaddr-negate enable', 'set dstaddr-negate disable'],
      ['a wildcard mask', '255.255.255.248', '0.0.0.7'],
      ['a group that is not there', /srcaddr "smtp-4025200-from-1[^"]*"/, 'srcaddr "smtp"'],
      ['another port', 'tcp-portrange 25', 'tcp-portrange 587'],
      ['a section that is not closed', /end\n$/, ''],
    ],
  ],
  [
    'panos',
    'policy',
    [
      ['allowed', 'action deny', 'action allow'],
      ['no negation', 'negate-source yes', 'negate-source no'],
      ['what was there is added to', /^delete rulebase security rules smtp-pol4-lan0-1\n/m, ''],
      ['an application', 'application any', 'application smtp'],
      ['not moved', /^move.*\n/gm, ''],
      ['a group that is not there', 'source [ smtp', 'source [ x'],
      ['an address that is not there', 'static [ smtp', 'static [ x'],
    ],
  ],
  [
    'aws-nacl',
    'offenders',
    [
      ['permit', '"RuleAction": "deny"', '"RuleAction": "permit"'],
      ['egress', /"Egress": false/, '"Egress": true'],
      ['a twin', '"RuleNumber": 2', '"RuleNumber": 1'],
      ['behind the permit of all', '"RuleNumber": 1,', '"RuleNumber": 101,'],
      ['all protocols', '"Protocol": "6"', '"Protocol": "-1"'],
      ['all ports', '"To": 25', '"To": 65535'],
      ['a subnet', '192.0.2.55/32', '192.0.2.0/24'],
    ],
  ],
  [
    'exabgp',
    'offenders',
    [
      ['all protocols', 'protocol tcp; ', ''],
      ['another port', 'destination-port =25', 'destination-port =587'],
      ['the source port', 'destination-port', 'source-port'],
      ['a subnet', 'source 192.0.2.55/32', 'source 192.0.2.0/24'],
      ['the destination', 'source 192.0.2.55/32', 'destination 192.0.2.55/32'],
      ['a brace too few', /\}\n$/, ''],
    ],
  ],
  [
    'gobgp',
    'offenders',
    [
      ['no port', "destination-port '==25' ", ''],
      ['a subnet', '192.0.2.55/32', '192.0.2.0/24'],
      [
        'withdrawn otherwise than added',
        'rib del -a ipv4-flowspec match source',
        'rib del -a ipv4-flowspec match destination',
      ],
      ['another family', '192.0.2.55/32', '2001:db8::55/128'],
    ],
  ],
  [
    'bird',
    'offenders',
    [
      ['another protocol', 'proto = 6', 'proto = 17'],
      ['the destination', 'src 192.0.2.55', 'dst 192.0.2.55'],
      ['not dropped', '0x80060000', '0x80070000'],
      ['the words of IPv6', /proto =/g, 'next header ='],
      ['a subnet', '192.0.2.55/32', '192.0.2.0/24'],
    ],
  ],
];

const WRONG_LISTS = WRONG.map(([platform, kind, mutations, form]) => ({ platform, kind, mutations, form }));

describe.each(WRONG_LISTS)(
  'a wrong list for $platform $form ($kind) is noticed:',
  ({ platform, kind, mutations, form }) => {
    const text = textOf(platform, kind, 'lan0', form);

    it('the right one is right', () => expect(isRight(text, platform, kind, form)).toBe(true));

    it.each(mutations)('%s', (_name, pattern, replacement) => {
      const wrong = text.replace(pattern, replacement);
      expect(wrong).not.toBe(text);
      expect(isRight(wrong, platform, kind, form)).toBe(false);
    });
  },
);

describe.each(['iptables', 'pf', 'mikrotik', 'vyos', 'fortios', 'panos'] as const)(
  'a policy for %s that no interface bounds',
  (platform) => {
    it('judges internal sources only', () => {
      expect(isRight(textOf(platform, 'policy', ''), platform, 'policy')).toBe(true);
    });

    it('is refused where everything is internal', () => {
      expect(() => renderAcl(request({ platform, internal: [prefix('0.0.0.0/0')] }))).toThrow(
        /comes in from the world/,
      );
    });
  },
);
