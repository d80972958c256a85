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
