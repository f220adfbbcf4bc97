/** At which sites an entry of the configuration holds: an equal address of another site is another host. */

/** Indexes into the names of sites; null for everywhere. */
export type SiteSet = ReadonlySet<number> | null;

/** In place of a site: the entries of every site count. */
export const ANY_SITE = -1;

/** `sites` as the configuration has them. A site that the process does not know yet is nowhere. */
export const siteSet = (sites: readonly string[] | undefined, siteNames: readonly string[]): SiteSet =>
  sites === undefined ? null : new Set(sites.map((name) => siteNames.indexOf(name)));

export const isOfSite = (sites: SiteSet, site: number): boolean =>
  sites === null || site === ANY_SITE || sites.has(site);
