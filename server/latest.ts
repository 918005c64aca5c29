/** Maps that keep no more than the latest: what grows by the doings of others has to be bounded. */

/** Puts an entry at the end. Where that makes too many, the one put in longest ago goes: it is answered. */
export function putLatest<K, V>(
  map: Map<K, V>,
  key: K,
  value: V,
  entriesMax: number,
): V | undefined {
  map.delete(key);
  map.set(key, value);
  if (map.size <= entriesMax) return undefined;
  const [oldest] = map;
  if (oldest === undefined) return undefined;
  map.delete(oldest[0]);
  return oldest[1];
}
