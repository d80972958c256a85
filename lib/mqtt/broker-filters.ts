import type { QoS } from '../core/link.js';

export interface WantedFilter {
  filter: string;
  qos: QoS;
  share?: string | undefined;
}

/** The filter as the broker is asked for it: `$share/<group>/<filter>` for a shared subscription. */
export const brokerFilter = ({ filter, share }: WantedFilter): string =>
  share === undefined ? filter : `$share/${share}/${filter}`;

/** Whether every topic that `narrow` matches is matched by `wide` too (both are valid MQTT filters). */
export function filterCovers(wide: string, narrow: string): boolean {
  if (narrow.startsWith('$') !== wide.startsWith('$')) return false;
  const w = wide.split('/');
  const n = narrow.split('/');
  for (let index = 0; index < w.length; index += 1) {
    if (w[index] === '#') return true;
    // `a/#` matches `a` too, which `a/+` does not.
    if (index >= n.length || n[index] === '#') return false;
    if (w[index] !== '+' && w[index] !== n[index]) return false;
  }
  return w.length === n.length;
}

/**
 * What to ask the broker for, so that one publish comes once: a broker may send a message once for each matching
 * subscription of a client (MQTT 3.1.1, 3.3.5), and nothing in it tells the copies apart. So filters that another
 * one covers are left out (the message is given to all matching handlers here), and the widest carries the highest
 * QoS of those it stands for. Filters that only partly overlap (`a/+/c` and `a/b/+`) remain two: there some brokers
 * send two copies, which are handled as two messages.
 * @returns broker filter to QoS
 */
export function brokerFilters(wanted: readonly WantedFilter[]): Map<string, QoS> {
  const filters = new Map<string, WantedFilter>();
  for (const each of wanted) {
    const key = brokerFilter(each);
    const known = filters.get(key);
    if (known === undefined || known.qos < each.qos) filters.set(key, each);
  }
  const result = new Map<string, QoS>();
  for (const [key, each] of filters) {
    const others = [...filters].filter(([other, { share }]) => other !== key && share === each.share);
    if (others.some(([, { filter }]) => filterCovers(filter, each.filter))) continue;
    const covered = others.filter(([, { filter }]) => filterCovers(each.filter, filter));
    result.set(key, Math.max(each.qos, ...covered.map(([, { qos }]) => qos)) as QoS);
  }
  return result;
}
