/** The detectors of a process, what they know of mail servers, and the role `detect` that feeds them. */

import { createDetector } from '../detect/detector.ts';
import { createDetectorPartitions, type DetectorPartitions } from '../detect/detector-partitions.ts';
import { type NetworkSight, sightOfOne } from '../detect/detector-state.ts';
import { collectorClockAlert } from './clock-alerts.ts';
import { createCollectorClocks } from './collector-clocks.ts';
import { createDetectRole, type DetectRole } from './detect-role.ts';
import { registerDetectorMetrics } from './detector-metrics.ts';
import { createMailServerFile, type MailServerFile } from './mail-server-file.ts';
import type { SharedParts } from './shared-parts.ts';

export interface Detecting {
  /** Without the role none is ever assigned. */
  readonly detectors: DetectorPartitions;
  readonly mailServers: MailServerFile;
  readonly role: DetectRole | null;
}

export function createDetecting(shared: SharedParts): Detecting {
  const { config, stream, log, now, policy, teller, metrics } = shared;
  const partitions = stream.partitions('mail');
  const sight: NetworkSight = {
    ...sightOfOne(),
    // A process that reads a part of the mail may never see the mail of a sender that another one reads.
    mustSeeSender: () =>
      policy.detection.block.unseen_senders === 'hold' && [...detectors.assigned].length === partitions,
  };
  const detectors: DetectorPartitions = createDetectorPartitions(() => {
    const detector = createDetector(policy.detection, sight);
    detector.restoreMailServers(mailServers.servers());
    return detector;
  });
  const mailServers = createMailServerFile(config.data, sight, detectors, log);
  if (!shared.roles.has('detect')) return { detectors, mailServers, role: null };

  const role = createDetectRole({
    stream,
    detectors,
    log,
    now,
    tell: teller.tell,
    policyVersion: policy.version,
    badMessages: shared.badMessages,
    // Without a broker nobody else stamps.
    ...(config.kafka.brokers.length > 0 && {
      collectorClocks: createCollectorClocks({
        directory: config.data,
        now,
        log,
        onStep(producer, ms) {
          log.warn({ producer, by_seconds: Math.round(ms / 1000) }, 'the clock of a collector is wrong');
          teller.tell(collectorClockAlert(producer, ms, now(), policy.version()));
        },
      }),
    }),
    onAlertLatency: metrics.latency(
      'alert_latency_seconds',
      'Time from the datagram received to the alert emitted',
    ),
  });
  registerDetectorMetrics(metrics, detectors, role.lag);
  return { detectors, mailServers, role };
}
