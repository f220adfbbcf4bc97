import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createLookup, describeIdentity } from '../../src/identity/identity.ts';
import { LEASE_FORMATS, readLeases } from '../../src/identity/leases.ts';
import { readOwners } from '../../src/identity/owners.ts';

const at = (text: string) => Date.parse(text);

describe('lease files', () => {
  it('reads those of ISC dhcpd: a log, in UTC', () => {
    const { leases, unread } = readLeases(
      'isc',
      `# The format of this file is documented in the dhcpd.leases(5) manual page.
lease 10.2.8.102 {
  starts 6 2026/11/28 08:12:00;
  ends 6 2026/11/28 20:12:00;
  cltt 6 2026/11/28 08:12:00;
  binding state active;
  next binding state free;
  hardware ethernet 00:1b:21:0a:0b:0c;
  uid "\\001\\000\\033!\\012\\013\\014";
  client-hostname "pc-42";
}
lease 10.2.8.103 {
  starts epoch 1795853520; # Sat Nov 28 08:12:00 2026
  ends never;
  binding state active;
  hardware ethernet 00:1b:21:0a:0b:0d;
}
lease 10.2.8.104 {
  starts 6 2026/11/28 08:12:00;
  ends 6 2026/11/28 20:12:00;
  binding state abandoned;
}
lease 10.2.8.105 {
  starts never heard of;
}
`,
    );
    expect(leases).toEqual([
      {
        address: '10.2.8.102',
        mac: '00:1b:21:0a:0b:0c',
        name: 'pc-42',
        fromMs: at('2026-11-28T08:12:00Z'),
        untilMs: at('2026-11-28T20:12:00Z'),
      },
      {
        address: '10.2.8.103',
        mac: '00:1b:21:0a:0b:0d',
        name: '',
        fromMs: 1795853520000,
        untilMs: Number.POSITIVE_INFINITY,
      },
    ]);
    expect(unread).toBe(1);
  });

  it('reads those of dnsmasq', () => {
    const { leases } = readLeases(
      'dnsmasq',
      `1795881600 00:1b:21:0a:0b:0c 10.2.8.102 pc-42 01:00:1b:21:0a:0b:0c
0 00:1b:21:0a:0b:0d 10.2.8.103 * *
duid 00:01:00:01:2a:2b
1795881600 1234567 2001:db8::5 pc-42 00:01:00:01
`,
    );
    expect(leases.map(({ address, name, mac, untilMs }) => [address, name, mac, untilMs])).toEqual([
      ['10.2.8.102', 'pc-42', '00:1b:21:0a:0b:0c', 1795881600000],
      ['10.2.8.103', '', '00:1b:21:0a:0b:0d', Number.POSITIVE_INFINITY],
      ['2001:db8::5', 'pc-42', '', 1795881600000],
    ]);
  });

  it('reads those of Kea', () => {
    const { leases } = readLeases(
      'kea',
      `address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_context,pool_id
10.2.8.102,00:1b:21:0a:0b:0c,01:00:1b:21:0a:0b:0c,3600,1795881600,1,0,0,pc-42.lan,0,,0
10.2.8.103,00:1b:21:0a:0b:0d,,3600,1795881600,1,0,0,,1,,0
`,
    );
    expect(leases).toEqual([
      {
        address: '10.2.8.102',
        mac: '00:1b:21:0a:0b:0c',
        name: 'pc-42.lan',
        fromMs: 1795878000000,
        untilMs: 1795881600000,
      },
    ]);
  });

  it('reads the audit log of Windows, in its local time', () => {
    const { leases, unread } = readLeases(
      'windows',
      `\t\tMicrosoft DHCP Service Activity Log

ID,Date,Time,Description,IP Address,Host Name,MAC Address,User Name, TransactionID
00,11/28/26,00:00:01,Started,,,,,0
11,11/28/26,08:00:00,Renew,10.2.8.101,pc-41.lan,001B210A0B0B,,1
10,11/28/26,09:12:00,Assign,10.2.8.102,pc-42.lan,001B210A0B0C,,2
11,11/28/26,10:12:00,Renew,10.2.8.102,pc-42.lan,001B210A0B0C,,3
12,11/28/26,11:00:00,Release,10.2.8.102,pc-42.lan,001B210A0B0C,,4
10,11/28/26,11:05:00,Assign,10.2.8.102,pc-99.lan,001B210A0B99,,5
10,28/11/2026,11:05,Assign,10.2.8.103,x,001B210A0B99,,5
`,
      60,
    );
    const at102 = leases.filter(({ address }) => address === '10.2.8.102');
    expect(at102.map(({ name, fromMs, untilMs }) => [name, fromMs, untilMs])).toEqual([
      ['pc-42.lan', at('2026-11-28T08:12:00Z'), at('2026-11-28T10:00:00Z')],
      ['pc-99.lan', at('2026-11-28T10:05:00Z'), Number.POSITIVE_INFINITY],
    ]);
    expect(leases.find(({ address }) => address === '10.2.8.101')?.fromMs).toBe(Number.NEGATIVE_INFINITY);
    expect(unread).toBe(1);
  });

  it('reads an export of MikroTik', () => {
    const { leases } = readLeases(
      'mikrotik',
      `# 2026-11-28 08:12:00 by RouterOS 7.16
/ip dhcp-server lease
add address=10.2.8.102 client-id=1:0:1b:21:a:b:c comment="Sales \\"front\\"" \\
    mac-address=00:1B:21:0A:0B:0C server=dhcp1
 0 D address=10.2.8.103 mac-address=00:1B:21:0A:0B:0D host-name=pc-43 status=bound active-address=10.2.8.203
`,
    );
    expect(leases.map(({ address, name, mac }) => [address, name, mac])).toEqual([
      ['10.2.8.102', 'Sales "front"', '00:1b:21:0a:0b:0c'],
      ['10.2.8.203', 'pc-43', '00:1b:21:0a:0b:0d'],
    ]);
  });

  it('reads whatever text without an error, and invents no address', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...LEASE_FORMATS),
        fc.string({ unit: 'binary', maxLength: 200 }),
        (format, text) => {
          for (const { address } of readLeases(format, text).leases)
            expect(text.toLowerCase()).toContain(address);
        },
      ),
    );
  });
});

describe('who it was', () => {
  const { leases } = readLeases(
    'isc',
    `lease 10.2.8.102 { starts 6 2026/11/28 08:00:00; ends 6 2026/11/28 12:00:00; client-hostname "pc-42"; }
lease 10.2.8.102 { starts 6 2026/11/28 10:00:00; ends 6 2026/11/28 14:00:00; client-hostname "pc-42"; }
lease 10.2.8.102 { starts 6 2026/11/28 14:30:00; ends 6 2026/11/28 18:00:00; client-hostname "guest"; }`.replace(
      /; /g,
      ';\n',
    ),
  );
  const { owners, problems } = readOwners(
    'owner,prefix\nCampus,10.0.0.0/8\n"Sales, north",10.2.8.0/24\nx,10.2.8.1/24\n',
  );
  const lookup = createLookup(leases, owners);

  it.each([
    ['2026-11-28T09:00:00Z', 'pc-42, Sales, north'],
    ['2026-11-28T13:00:00Z', 'pc-42, Sales, north'],
    ['2026-11-28T14:10:00Z', 'Sales, north'],
    ['2026-11-28T15:00:00Z', 'guest, Sales, north'],
  ])('at %s: %s', (time, who) => {
    expect(describeIdentity(lookup('10.2.8.102', at(time)))).toBe(who);
  });

  it('knows nothing of others', () => {
    expect(lookup('192.0.2.1', at('2026-11-28T09:00:00Z'))).toBeNull();
    expect(describeIdentity(lookup('10.9.9.9', 0))).toBe('Campus');
  });

  it('says which line of the owners is none', () => {
    expect(problems).toEqual([expect.stringMatching(/^line 4: .*host bits/)]);
  });
});
