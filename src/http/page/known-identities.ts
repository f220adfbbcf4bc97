/**
 * Names and owners of hosts for the page. The files are read when somebody asks, and again only after one of them has changed, at most
 * once a minute: reading is synchronous, and what many pages ask for must not slow what is received.
 */

import { statSync } from 'node:fs';
import { type Identities, type IdentityFiles, readIdentities } from '../../identity/identity.ts';

const LOOK_AGAIN_MS = 60_000;

/** `files`: as the configuration in force has them. The answer never throws: a host of a file that cannot be read has no name. */
export function createKnownIdentities(
  files: () => IdentityFiles,
  now: () => number,
): (host: string, ms: number) => ReturnType<Identities['at']> {
  let known: { readonly identities: Identities; readonly signature: string } | null = null;
  let configured: IdentityFiles | null = null;
  let lookedAtMs = 0;

  return (host, ms) => {
    const current = files();
    if (known === null || configured !== current || now() - lookedAtMs >= LOOK_AGAIN_MS) {
      const signature = signatureOf(current);
      if (known?.signature !== signature) known = { identities: readIdentities(current), signature };
      configured = current;
      lookedAtMs = now();
    }
    return known.identities.at(host, ms);
  };
}

function signatureOf({ leases, owners }: IdentityFiles): string {
  const names = [...leases.map(({ file }) => file), ...(owners === undefined ? [] : [owners])];
  return JSON.stringify([
    leases,
    owners,
    names.map((name) => {
      try {
        const { ino, size, mtimeMs } = statSync(name);
        return [ino, size, mtimeMs];
      } catch {
        return null;
      }
    }),
  ]);
}
