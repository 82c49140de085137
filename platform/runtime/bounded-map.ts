// Maps that are kept from growing for ever: a Map keeps the order in which its keys were set, so the oldest are in front.

/** Takes the oldest entries out of a map until it holds no more than `most`. */
export function dropOldest(map: Map<unknown, unknown>, most: number): void {
  for (const key of map.keys()) {
    if (map.size <= most) return;
    map.delete(key);
  }
}
