import type { Route } from '../web/route.js';
import { type BrokerHttpOptions, brokerRoute, fieldsOf, mayLogIn, type Question } from './broker-http.js';
import type { Policy } from './policy.js';
import type { MqttPrincipal } from './principal.js';

export interface RabbitMqOptions extends BrokerHttpOptions {
  /** The virtual host that MQTT clients are in. */
  vhost: string;
}

/** The exchange that RabbitMQ's MQTT plugin publishes to and binds queues to, unless it is told of another. */
const EXCHANGE = 'amq.topic';

const answer = (allowed: boolean) => ({
  body: Buffer.from(allowed ? 'allow' : 'deny'),
  headers: { 'Content-Type': 'text/plain; charset=utf-8' },
});

/**
 * The MQTT topic or filter that a routing key or binding key of RabbitMQ stands for. The plugin writes `.` for `/` and
 * `*` for `+`, and leaves a `.` and a `*` of the topic as they are: the topics `a.b` and `a/b` are one to RabbitMQ,
 * and it delivers a message of either as `a/b`. So that is what the policy is asked for, and an id with a dot or a
 * star has no topics there.
 */
export function topicOfRoutingKey(key: string): string {
  return key.replaceAll('.', '/').replaceAll('*', '+');
}

/**
 * Queues and exchanges that an MQTT client needs: its own queues, which the plugin names after its client id (`will`
 * since 3.13), and the topic exchange, whose keys are asked for on their own.
 */
export function mayUseResource(
  principal: MqttPrincipal,
  resource: { kind: string; name: string; permission: string },
): boolean {
  const { kind, name, permission } = resource;
  if (kind === 'exchange') return name === EXCHANGE && (permission === 'write' || permission === 'read');
  if (kind !== 'queue') return false;
  const owner = /^mqtt-(?:subscription-(.+)qos[012]|will-(.+))$/s.exec(name)?.slice(1).find(Boolean);
  return owner !== undefined && (principal.role === 'service' || owner === principal.username);
}

/** Whether a client may publish with a routing key, or bind its queue with one. */
export function mayUseRoutingKey(
  policy: Pick<Policy, 'mayPublish' | 'maySubscribe'>,
  principal: MqttPrincipal,
  { name, permission, key }: { name: string; permission: string; key: string },
): boolean {
  if (name !== EXCHANGE) return false;
  const topic = topicOfRoutingKey(key);
  if (permission === 'write') return policy.mayPublish(principal, topic);
  return permission === 'read' && policy.maySubscribe(principal, topic);
}

/**
 * The four endpoints of RabbitMQ's HTTP auth backend, for clients of its MQTT plugin (access.md "Other brokers"). A
 * login without a client id comes by another protocol, where our rights mean nothing: it is refused. The login
 * question does not tell the client's address, so its failures are not counted by one.
 */
export function rabbitMqRoutes(options: RabbitMqOptions): Route[] {
  const { access, policy, vhost: own } = options;

  const route = (
    path: string,
    decide: (body: unknown) => Promise<{ question: Question; allowed: boolean }>,
  ) => brokerRoute(options, `/mqtt/rabbitmq/${path}`, 'form', decide, answer);

  /** A question about a client that has logged in: the name is enough, RabbitMQ has checked the password. */
  const allows = async (username: string, vhost: string, may: (principal: MqttPrincipal) => boolean) => {
    if (vhost !== own) return false;
    const principal = await access().principalOf(username);
    return principal !== undefined && may(principal);
  };

  return [
    route('user', async (body) => {
      const {
        username,
        password,
        client_id: clientId,
      } = fieldsOf(body, ['username'], ['password', 'client_id']);
      const allowed =
        clientId !== undefined &&
        (await mayLogIn(access(), { username, clientId, ...(password !== undefined && { password }) }));
      return { question: { kind: 'login', username, clientId }, allowed };
    }),
    route('vhost', async (body) => {
      const {
        username,
        vhost,
        ip,
        client_id: clientId,
      } = fieldsOf(body, ['username', 'vhost'], ['ip', 'client_id']);
      const allowed = await allows(username, vhost, () => true);
      return { question: { kind: 'vhost', username, clientId, address: ip, topic: vhost }, allowed };
    }),
    route('resource', async (body) => {
      const {
        username,
        vhost,
        resource: kind,
        name,
        permission,
        client_id: clientId,
      } = fieldsOf(body, ['username', 'vhost', 'resource', 'name', 'permission'], ['client_id']);
      const allowed = await allows(username, vhost, (principal) =>
        mayUseResource(principal, { kind, name, permission }),
      );
      return { question: { kind: 'resource', username, clientId, topic: name }, allowed };
    }),
    route('topic', async (body) => {
      const {
        username,
        vhost,
        name,
        permission,
        routing_key: key,
        ...rest
      } = fieldsOf(
        body,
        ['username', 'vhost', 'name', 'permission', 'routing_key'],
        ['variable_map.client_id'],
      );
      const allowed = await allows(username, vhost, (principal) =>
        mayUseRoutingKey(policy, principal, { name, permission, key }),
      );
      const kind = permission === 'write' ? 'publish' : 'subscribe';
      const clientId = rest['variable_map.client_id'];
      return { question: { kind, username, clientId, topic: topicOfRoutingKey(key) }, allowed };
    }),
  ];
}
