import { FieldloomError } from '../core/errors.js';
import type { TopicTemplate } from '../core/topic.js';
import type { MqttPrincipal, UserPrincipal } from './principal.js';
import { filterCovers, isPlainTopic, PROTOCOL_TOPICS, ROLE_TOPICS, topicParameters } from './topics.js';

/** What a person or a program asks for by REST or WebSocket. */
export type Resource =
  | { kind: 'store'; storeId: string }
  | { kind: 'company'; company: string }
  /** A pond with all that belongs to it: readings, executions, alerts. */
  | { kind: 'pond'; ownerId: number }
  | { kind: 'dead-letters' }
  | { kind: 'logins' };

/** The one policy (access.md): every door asks it. Pure: it knows nobody but whom it is handed. */
export interface Policy {
  /**
   * All that a principal may, as MQTT filters, for a broker that wants it in advance. A service's `+` stands for a
   * level that is not empty, which a filter cannot say.
   */
  rights(principal: MqttPrincipal): { publish: readonly string[]; subscribe: readonly string[] };
  mayPublish(principal: MqttPrincipal, topic: string): boolean;
  maySubscribe(principal: MqttPrincipal, filter: string): boolean;
}

interface Rights {
  publish: ReadonlySet<string>;
  /** Filters; one is granted where one of these covers it. */
  subscribe: readonly string[];
}

/** Topics of services whose answer is remembered, and how long such a topic may be. */
const REMEMBERED_TOPICS = 10_000;
const LONGEST_REMEMBERED = 256;

const NO_RIGHTS: Rights = { publish: new Set(), subscribe: [] };

/** All topics of one principal, literally. An id that could widen a topic has no rights at all. */
function rightsOf(
  principal: Exclude<MqttPrincipal, { role: 'service' }>,
  prefixes: readonly string[],
): Rights {
  const { publish, subscribe } = ROLE_TOPICS[principal.role];
  const parameters = topicParameters(principal);
  const all = (templates: readonly TopicTemplate[]) =>
    prefixes.flatMap((prefix) => templates.map((template) => prefix + template.format(parameters)));
  try {
    const own = all(subscribe);
    // seed: solar-mqtt, ACL Rules: a machine may subscribe to its own subtree.
    const subtrees =
      principal.role === 'machine'
        ? prefixes.map((prefix) => `${prefix}company/${principal.company}/machine/${principal.machine}/#`)
        : [];
    return { publish: new Set(all(publish)), subscribe: [...own, ...subtrees] };
  } catch {
    return NO_RIGHTS;
  }
}

function checkPrefix(prefix: string): string {
  if (prefix !== '' && !isPlainTopic(prefix)) {
    throw new FieldloomError(
      'invalid_setting',
      `topic prefix ${JSON.stringify(prefix)}: accepted is text without +, #, control characters and a leading $`,
      { details: { name: 'prefixes' } },
    );
  }
  return prefix;
}

/**
 * @param prefixes what may stand before the topics of the protocols, literally: `''` for topics as the protocols
 *   write them, `lms/` for an installation that puts this before them
 * @throws FieldloomError invalid_setting
 */
export function createPolicy(prefixes: readonly string[] = ['']): Policy {
  const accepted = [...new Set(prefixes.map(checkPrefix))];
  const filters = accepted.flatMap((prefix) => PROTOCOL_TOPICS.map(({ filter }) => prefix + filter));
  // The broker asks with the same principal for each message of a connection.
  const known = new WeakMap<MqttPrincipal, Rights>();
  const rights = (principal: Exclude<MqttPrincipal, { role: 'service' }>) => {
    let found = known.get(principal);
    if (found === undefined) {
      found = rightsOf(principal, accepted);
      known.set(principal, found);
    }
    return found;
  };
  /** A service speaks for a whole fleet, which repeats its topics. */
  const ofProtocol = new Map<string, boolean>();
  const isOfProtocol = (topic: string) =>
    isPlainTopic(topic) &&
    accepted.some(
      (prefix) =>
        topic.startsWith(prefix) &&
        PROTOCOL_TOPICS.some((template) => template.match(topic.slice(prefix.length)) !== undefined),
    );
  return {
    rights(principal) {
      if (principal.role === 'service') return { publish: filters, subscribe: filters };
      const { publish, subscribe } = rights(principal);
      return { publish: [...publish], subscribe };
    },
    mayPublish(principal, topic) {
      if (principal.role !== 'service') return rights(principal).publish.has(topic);
      let may = ofProtocol.get(topic);
      if (may === undefined) {
        may = isOfProtocol(topic);
        if (ofProtocol.size >= REMEMBERED_TOPICS) ofProtocol.clear();
        if (topic.length <= LONGEST_REMEMBERED) ofProtocol.set(topic, may);
      }
      return may;
    },
    maySubscribe(principal, filter) {
      const granted = principal.role === 'service' ? filters : rights(principal).subscribe;
      return granted.some((own) => filterCovers(own, filter));
    },
  };
}

/** access.md "People and programs": a user belongs to stores and companies; what spans them is an admin's. */
export function mayRead(user: UserPrincipal, resource: Resource): boolean {
  if (user.admin) return true;
  switch (resource.kind) {
    case 'store':
      return user.stores.includes(resource.storeId);
    case 'company':
      return user.companies.includes(resource.company);
    case 'pond':
      return user.userId === resource.ownerId;
    case 'dead-letters':
    case 'logins':
      return false;
  }
}

/** Who belongs to a store or a company may also act there (replay, command). */
export function mayChange(user: UserPrincipal, resource: Resource): boolean {
  return mayRead(user, resource);
}
