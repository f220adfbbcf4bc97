/**
 * A host as people name it: an address or an IPv6 network, and `HOST@SITE` where several sites use the same addresses.
 * `HOST@` is the one outside of every site.
 */

import { RogueSmtpError } from '../errors.ts';

/** Without `@` there is no site, which is any of them. */
export function splitSite(text: string): { readonly host: string; readonly site?: string } {
  const at = text.indexOf('@');
  return at < 0 ? { host: text } : { host: text.slice(0, at), site: text.slice(at + 1) };
}

/** `HOST@SITE`, or the host alone outside of every site. */
export const nameAtSite = ({ host, site }: { readonly host: string; readonly site: string }): string =>
  site === '' ? host : `${host}@${site}`;

/** For a host that was named without the site, though several have one. */
export function severalSites(host: string, sites: readonly string[]): RogueSmtpError {
  const choices = sites.map((site) => `${host}@${site}`).join(' or ');
  return new RogueSmtpError('usage', `${host} is a host of several sites: say ${choices}`);
}
