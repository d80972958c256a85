/** Databases bound how many values one query may have. */
const AT_ONCE = 500;

/** Asks for many keys, some at a time, and gives all that was found. */
export async function inPieces<Key, Found>(
  keys: readonly Key[],
  ask: (piece: readonly Key[]) => Promise<Found[]>,
): Promise<Found[]> {
  const found: Found[] = [];
  for (let from = 0; from < keys.length; from += AT_ONCE) {
    found.push(...(await ask(keys.slice(from, from + AT_ONCE))));
  }
  return found;
}
