import english from './locales/en-US/runtime.json';

/**
 * Texts that every node shares. Node-RED keeps one catalogue a node and a node may be switched off, so these come
 * from a file of their own that is always there.
 */
export function sharedText(key: keyof typeof english, values: Record<string, string>): string {
  return english[key].replace(/\{(\w+)\}/g, (_, name: string) => values[name] ?? '');
}
