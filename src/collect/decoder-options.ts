/** From the configuration to what the decoder and the mail filter are told. */

import type { Config } from '../config/schema.ts';
import type { DecoderOptions } from '../decode/types.ts';

/** `portsOnly` are the only TCP ports whose flows anybody wants; absent when all flows are wanted. */
export function decoderOptions(
  collector: Config['collector'],
  portsOnly?: readonly number[],
): DecoderOptions {
  const { limits } = collector;
  return {
    templateScope: collector.template_scope,
    tunnels: collector.tunnels,
    ...(portsOnly !== undefined && { portsOnly }),
    limits: {
      exporters: limits.exporters,
      templatesPerExporter: limits.templates_per_exporter,
      templates: limits.templates,
      fieldsPerTemplate: limits.fields_per_template,
      pendingBytes: limits.pending,
      pendingAgeMs: limits.pending_age,
    },
  };
}

/** The ports whose flows go to the detector: those that are judged, and submission where it is asked for. */
export function mailPorts(config: Config): readonly number[] {
  const { ports, submission } = config.detection;
  return submission.alert ? [...ports, ...submission.ports] : ports;
}
