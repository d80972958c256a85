import { checkFilter, isTopicLevel, type TopicTemplate, topicTemplate } from '../core/topic.js';
import type { MqttPrincipal } from './principal.js';

export type MqttRole = MqttPrincipal['role'];

interface RoleTopics {
  publish: readonly TopicTemplate[];
  subscribe: readonly TopicTemplate[];
}

const templates = (...texts: string[]) => texts.map(topicTemplate);

/** access.md "MQTT clients", row for row; the service's row follows from the others. */
export const ROLE_TOPICS: Readonly<Record<Exclude<MqttRole, 'service'>, RoleTopics>> = {
  machine: {
    publish: templates(
      'company/{company}/machine/{machine}/telemetry',
      'company/{company}/machine/{machine}/status',
    ),
    subscribe: templates('company/{company}/machine/{machine}/command'),
  },
  controller: {
    publish: templates(
      '/stores/{store_id}/controllers/{controller_id}/metrics',
      '/stores/{store_id}/controllers/{controller_id}/ack',
      '/stores/{store_id}/controllers/{controller_id}/action',
    ),
    subscribe: templates('/stores/{store_id}/controllers/{controller_id}/action'),
  },
  device: {
    publish: templates(
      'devices/{device}/ack',
      'devices/{device}/data/sensors',
      'devices/{device}/data/heartbeat',
      'devices/{device}/data/startup',
      'devices/{device}/threshold',
    ),
    subscribe: templates('devices/{device}/commands'),
  },
};

/** All topics of the protocols: what a service may use. */
export const PROTOCOL_TOPICS: readonly TopicTemplate[] = [
  ...new Map(
    Object.values(ROLE_TOPICS)
      .flatMap(({ publish, subscribe }) => [...publish, ...subscribe])
      .map((template) => [template.template, template]),
  ).values(),
];

/** The values that a principal's own topics are formatted with. */
export function topicParameters(principal: Exclude<MqttPrincipal, { role: 'service' }>) {
  switch (principal.role) {
    case 'machine':
      return { company: principal.company, machine: principal.machine };
    case 'controller':
      return { store_id: principal.storeId, controller_id: principal.controllerId };
    case 'device':
      return { device: principal.device };
  }
}

function isFilter(filter: string): boolean {
  try {
    checkFilter(filter);
    return true;
  } catch {
    return false;
  }
}

/** `#` alone sees every topic, and every topic has a first level: so it is the same as `+/#`. */
const levelsOf = (filter: string) => (filter === '#' ? ['+', '#'] : filter.split('/'));

/**
 * Whether every topic that `inner` matches is matched by `outer` too (MQTT 3.1.1, 4.7). False where one of them is
 * no filter.
 */
export function filterCovers(outer: string, inner: string): boolean {
  if (!isFilter(outer) || !isFilter(inner)) return false;
  // A first level with a wildcard does not see what begins with $.
  if (inner.startsWith('$') && /^[+#]/.test(outer)) return false;
  const wide = levelsOf(outer);
  const narrow = levelsOf(inner);
  for (let index = 0; index < wide.length; index += 1) {
    if (wide[index] === '#') return true;
    const level = narrow[index];
    if (level === undefined || level === '#') return false;
    if (wide[index] !== '+' && wide[index] !== level) return false;
  }
  return narrow.length === wide.length;
}

/** True for a topic that a publish may name: no wildcard, no control character, nothing of the broker's own. */
export function isPlainTopic(topic: string): boolean {
  return !topic.startsWith('$') && topic.split('/').every((level) => level === '' || isTopicLevel(level));
}
