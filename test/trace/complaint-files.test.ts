import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { complaintOf, parseComplaintTime } from '../../src/trace/complaint.ts';
import { readComplaints } from '../../src/trace/complaint-files.ts';

const only = (text: string) => {
  const found = readComplaints(text);
  expect(found).toHaveLength(1);
  return found[0];
};

describe('times', () => {
  const noon = Date.UTC(2026, 10, 28, 14, 5);
  it.each([
    '2026-11-28T14:05:00Z',
    '2026-11-28 14:05',
    '2026-11-28 14:05 GMT',
    '2026-11-28 14:05:00 UTC',
    '2026-11-28 14:05:00.000000',
    '2026-11-28T15:05:00+01:00',
    '2026-11-28 15:05:00 +0100',
    'Sat, 28 Nov 2026 15:05:00 +0100 (CET)',
    '28 Nov 2026 14:05 GMT',
    String(noon / 1000),
  ])('reads %s', (text) => {
    expect(parseComplaintTime(text)).toBe(noon);
  });

  it.each(['', 'yesterday', '28/11/2026 14:05', '2026-13-40 14:05', '14:05', 'Nov 28, 2026'])(
    'refuses %j',
    (text) => {
      expect(parseComplaintTime(text)).toBeNull();
    },
  );
});

describe('reports', () => {
  it('reads an ARF mail', () => {
    expect(
      only(`From: abuse@provider.example
Date: Sat, 28 Nov 2026 14:10:00 GMT
Content-Type: multipart/report; report-type=feedback-report; boundary="part"

--part
Content-Type: text/plain

This is an email abuse report for a message from 203.0.113.5.

--part
Content-Type: message/feedback-report

Feedback-Type: abuse
User-Agent: SomeGenerator/1.0
Version: 1
Source-IP: 203.0.113.5
Source-Port: 51000
Arrival-Date: Sat, 28 Nov 2026
 14:05:00 GMT

--part
Content-Type: message/rfc822

Received: from x ([198.51.100.1]) by y
Source-IP: 192.0.2.99

--part--
`),
    ).toEqual({ at: 'Sat, 28 Nov 2026 14:05:00 GMT', source: '203.0.113.5', sourcePort: '51000' });
  });

  it('reads the fields of an ARF part in base64', () => {
    const fields = Buffer.from('Source-IP: 203.0.113.5\r\nArrival-Date: 2026-11-28 14:05 GMT\r\n').toString(
      'base64',
    );
    expect(
      only(
        `Content-Type: multipart/report\r\n\r\n--b\r\nContent-Type: message/feedback-report\r\nContent-Transfer-Encoding: base64\r\n\r\n${fields}\r\n--b--\r\n`,
      ),
    ).toMatchObject({ at: '2026-11-28 14:05 GMT', source: '203.0.113.5' });
  });

  it('reads XARF 3', () => {
    expect(
      only(
        JSON.stringify({
          Version: '3',
          ReporterInfo: { ReporterOrg: 'Example' },
          Disclosure: true,
          Report: {
            ReportClass: 'Activity',
            ReportType: 'Spam',
            Date: '2026-11-28T14:05:00Z',
            SourceIp: '203.0.113.5',
            SourcePort: 51000,
            DestinationIp: '198.51.100.25',
            DestinationPort: 25,
          },
        }),
      ),
    ).toEqual({
      at: '2026-11-28T14:05:00Z',
      source: '203.0.113.5',
      sourcePort: '51000',
      destination: '198.51.100.25',
      destinationPort: '25',
    });
  });

  it('reads XARF 4', () => {
    expect(
      only(
        JSON.stringify({
          xarf_version: '4.0.0',
          timestamp: '2026-11-28T14:05:00Z',
          category: 'messaging',
          type: 'spam',
          source_identifier: '2001:db8::5',
          source_port: 51000,
          destination_ip: '2001:db8:ffff::25',
        }),
      ),
    ).toMatchObject({ source: '2001:db8::5', sourcePort: '51000', destination: '2001:db8:ffff::25' });
  });

  it('reads XARF 0.2', () => {
    expect(
      only(`X-XARF: PLAIN
Subject: abuse report

Reported-From: abuse@provider.example
Category: abuse
Report-Type: login-attack
Date: Sat, 28 Nov 2026 14:05:00 +0000
Source: 203.0.113.5
Source-Type: ipv4
Port: 25
`),
    ).toMatchObject({ at: 'Sat, 28 Nov 2026 14:05:00 +0000', source: '203.0.113.5', destinationPort: '25' });
  });

  it('reads the text of a blocklist page', () => {
    expect(
      only(`IP Address 203.0.113.5 is listed. It was last detected at 2026-11-28 14:05 GMT (+/- 30 minutes),
approximately 2 hours ago. The host behind it opened a connection to a sinkhole at 198.51.100.99 on port 80, with source port 51000.`),
    ).toEqual({
      at: '2026-11-28 14:05 GMT',
      within: 30 * 60_000,
      source: '203.0.113.5',
      sourcePort: '51000',
      destination: '198.51.100.99',
      destinationPort: '80',
    });
  });

  it('reads CSV of a sinkhole, a row each', () => {
    expect(
      readComplaints(`\uFEFF"timestamp","ip","port","asn","geo","hostname","dst_ip","dst_port","tag"
"2026-11-28 14:05:01","203.0.113.5","51000","64496","DE","a, b","198.51.100.99","443","botnet"
"2026-11-28 14:06:01","203.0.113.6","","64496","DE","","",""
`),
    ).toEqual([
      {
        at: '2026-11-28 14:05:01',
        source: '203.0.113.5',
        sourcePort: '51000',
        destination: '198.51.100.99',
        destinationPort: '443',
      },
      { at: '2026-11-28 14:06:01', source: '203.0.113.6' },
    ]);
  });

  it.each([
    ['nothing', ''],
    ['no time', 'the address 203.0.113.5 is bad'],
    ['broken JSON', '{"Report": '],
    ['other JSON', '{"a": [1, 2]}'],
    ['CSV without rows', 'timestamp,ip\n'],
    ['too many rows', `timestamp,ip\n${'2026-11-28 14:05,203.0.113.5\n'.repeat(1001)}`],
  ])('refuses %s in words', (_name, text) => {
    expect(() => readComplaints(text)).toThrow(/the report cannot be read/);
  });

  it('ends with reports or an error of its own, whatever it is given', () => {
    const pieces = fc.constantFrom(
      'Content-Type: message/feedback-report\n\n',
      'Source-IP: 203.0.113.5\n',
      'timestamp,ip,port\n',
      '2026-11-28 14:05 GMT',
      '(+/- 9999 hours)',
      '--',
      '{"Report":{',
      '[[',
      '"',
      'sinkhole ',
      '999.999.999.999',
      '::::::',
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(pieces, fc.string({ maxLength: 20 })), { maxLength: 12 }), (parts) => {
        try {
          for (const texts of readComplaints(parts.join(''))) complaintOf(texts);
        } catch (error) {
          expect(error).toMatchObject({ code: 'usage' });
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('what is searched for', () => {
  it('is mail where no server and no port is named', () => {
    const { destination, withinMs } = complaintOf({ at: '2026-11-28 14:05', source: '203.0.113.5' });
    expect(destination).toEqual({ address: null, port: 25 });
    expect(withinMs).toBe(300_000);
  });

  it('takes port 0 for one that is not known', () => {
    expect(
      complaintOf({ at: '2026-11-28 14:05', source: '203.0.113.5', sourcePort: 0 }).source.port,
    ).toBeNull();
  });

  it.each([
    { source: '203.0.113.5' },
    { at: 'soon', source: '203.0.113.5' },
    { at: '2026-11-28 14:05', source: 'host.example' },
    { at: '2026-11-28 14:05', source: '203.0.113.5', sourcePort: 70_000 },
    { at: '2026-11-28 14:05', source: '203.0.113.5', within: 9e9 },
  ])('refuses %j', (texts) => {
    expect(() => complaintOf(texts)).toThrow(/cannot be searched for/);
  });
});
