/** One part of the gateway, as `/health` shows it. */
export interface Health {
  ok: boolean;
  /** A word or a short sentence, such as `open` or why it is not. */
  detail: string;
}

const checks = new Map<string, Set<() => Health>>();

/**
 * Adds a check under the name of its part (`broker`, `store`); several of one part must all be well.
 * @returns what removes it again
 */
export function addHealthCheck(name: string, check: () => Health): () => void {
  const named = checks.get(name) ?? new Set();
  checks.set(name, named.add(check));
  return () => {
    named.delete(check);
    if (named.size === 0 && checks.get(name) === named) checks.delete(name);
  };
}

/**
 * The store does not count as open before a node has read from it what its paths answer with: `/health` would say that
 * all is well while they still say 503.
 * @param reading settles when it has, or cannot; a node that cannot says so itself
 * @param closed of the node
 */
export function awaitReader(reading: Promise<unknown>, closed: AbortSignal): void {
  const remove = addHealthCheck('store', () => ({ ok: false, detail: 'opening' }));
  reading.then(remove, remove);
  closed.addEventListener('abort', remove);
}

/**
 * All parts.
 * @param expected parts that must be there: one without a check is not well
 */
export function health(expected: readonly string[] = []): { ok: boolean; parts: Record<string, string> } {
  const parts: Record<string, string> = {};
  let ok = true;
  for (const name of new Set([...expected, ...checks.keys()])) {
    const results = [...(checks.get(name) ?? [])].map((check) => check());
    const failing = results.find((result) => !result.ok);
    parts[name] = failing?.detail ?? results[0]?.detail ?? 'missing';
    if (failing !== undefined || results.length === 0) ok = false;
  }
  return { ok, parts };
}
