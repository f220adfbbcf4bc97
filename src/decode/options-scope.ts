/**
 * What an options record is about: its scope fields, in v9 (RFC 3954 section 6.1) and IPFIX (RFC 7011 section 3.4.2.1).
 *
 * node-netflowv9 reads an interface of v9's scope as text, which loses numbers; so the scope is read here, from the bytes
 * of a record that has passed the bounds check. Only records that tell a rate come this way.
 */

import type { OptionsScope } from './sampling.ts';
import type { Template } from './template.ts';
import { IE, VARIABLE_LENGTH } from './template-field.ts';

/** Scope field types of v9. 1, the system, narrows nothing. */
const V9_INTERFACE = 2;
const V9_LINE_CARD = 3;
const V9_CACHE = 4;
const V9_TEMPLATE = 5;

const PARTS: readonly number[] = [
  IE.observationPointId,
  IE.lineCardId,
  IE.portId,
  IE.meteringProcessId,
  IE.exportingProcessId,
];

/**
 * The scope of the record that begins at `at`. `domain` is the observation domain that sent it: a record about another
 * one is about a part that these flows are not.
 */
export function optionsScope(template: Template, bytes: Buffer, at: number, domain: number): OptionsScope {
  const isV9 = template.form === 'v9-options';
  let scope: OptionsScope = {};
  let position = at;
  for (const { pen, id, length } of template.fields.slice(0, template.scopeFields)) {
    // Nothing that matters here has variable length.
    if (length === VARIABLE_LENGTH || position + length > bytes.length) break;
    if (pen === 0 && length > 0 && length <= 6) {
      const value = bytes.readUIntBE(position, length);
      scope = { ...scope, ...(isV9 ? ofV9(id, value) : ofIpfix(id, value, domain)) };
    }
    position += length;
  }
  return scope;
}

function ofV9(type: number, value: number): OptionsScope {
  switch (type) {
    case V9_INTERFACE:
      return { interface: { id: value, side: 'both' } };
    case V9_TEMPLATE:
      return { template: value };
    case V9_LINE_CARD:
    case V9_CACHE:
      return { part: `${type} ${value}` };
    default:
      return {};
  }
}

function ofIpfix(element: number, value: number, domain: number): OptionsScope {
  switch (element) {
    case IE.ingressInterface:
    case IE.ingressPhysicalInterface:
      return { interface: { id: value, side: 'ingress' } };
    case IE.egressInterface:
    case IE.egressPhysicalInterface:
      return { interface: { id: value, side: 'egress' } };
    case IE.templateId:
      return { template: value };
    case IE.observationDomainId:
      return value === domain || value === 0 ? {} : { part: `${element} ${value}` };
    default:
      return PARTS.includes(element) ? { part: `${element} ${value}` } : {};
  }
}
