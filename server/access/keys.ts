/**
 * Which keys prove which collector. The session asks for them at each HELLO, so keys that are
 * replaced while the server runs count from the next handshake on; who is connected already is
 * asked about by `Ingest.onKeysReplaced`.
 *
 * Invariant: a collector that isn't known is given as many keys to be tried as one that is, which
 * nobody holds. So it costs the same work and gets the same answer as one with a wrong token.
 */
import { randomBytes } from 'node:crypto';
import { type MacKey, macKeyFromHex, macKeyOf } from '#protocol/handshake.ts';
import { MAC_KEY_BYTES } from '#protocol/limits.ts';

/** Two, so that a collector's token can be changed without a moment at which neither counts. */
export const KEYS_PER_COLLECTOR_MAX = 2;

/** Always KEYS_PER_COLLECTOR_MAX; those that a collector doesn't have are nobody's. */
type Candidates = readonly [MacKey, MacKey];

export interface Keys {
  candidates(collector: string): Candidates;
  /** For the log and for metrics; the answer to the other side must not depend on it. */
  knows(collector: string): boolean;
}

/** True while the key proves the collector. */
export function isValid(keys: Keys, collector: string, key: MacKey): boolean {
  return keys.candidates(collector).some((candidate) => candidate.equals(key));
}

function nobodysKey(): MacKey {
  return macKeyFromHex(randomBytes(MAC_KEY_BYTES).toString('hex')) as MacKey;
}

/** One token for all: whoever holds it is whoever he says. */
export function sharedKey(token: Uint8Array): Keys {
  const candidates: Candidates = [macKeyOf(token), nobodysKey()];
  return { candidates: () => candidates, knows: () => true };
}

/** A key or two for each collector by name; nobody else comes in. */
export function collectorKeys(keys: ReadonlyMap<string, readonly MacKey[]>): Keys {
  const nobody: Candidates = [nobodysKey(), nobodysKey()];
  return {
    candidates: (collector) => {
      const [first = nobody[0], second = nobody[1]] = keys.get(collector) ?? [];
      return [first, second];
    },
    knows: (collector) => keys.has(collector),
  };
}
