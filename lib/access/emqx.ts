import { FieldloomError } from '../core/errors.js';
import type { Route } from '../web/route.js';
import { type BrokerHttpOptions, brokerRoute, fieldsOf, mayLogIn } from './broker-http.js';
import type { MqttPrincipal } from './principal.js';

/** EMQX takes any other answer than 200 with a result for no opinion, and goes on to its next source. */
const result = (allowed: boolean) => ({ body: { result: allowed ? 'allow' : 'deny', is_superuser: false } });

/**
 * The two endpoints for EMQX 5 (access.md "Other brokers"): its HTTP authentication and its HTTP authorization, with
 * the body templates of docs/brokers.md.
 */
export function emqxRoutes(options: BrokerHttpOptions): Route[] {
  const { access, policy } = options;
  return [
    brokerRoute(
      options,
      '/mqtt/auth',
      'json',
      async (body) => {
        const {
          username,
          password,
          clientid: clientId,
          peerhost: address,
        } = fieldsOf(body, ['clientid'], ['username', 'password', 'peerhost']);
        const allowed = await mayLogIn(access(), {
          clientId,
          ...(username !== undefined && { username }),
          ...(password !== undefined && { password }),
          ...(address !== undefined && { address }),
        });
        return { question: { kind: 'login', username, clientId, address }, allowed };
      },
      result,
    ),
    brokerRoute(
      options,
      '/mqtt/acl',
      'json',
      async (body) => {
        const { username, clientid, peerhost, topic, action } = fieldsOf(
          body,
          ['topic', 'action'],
          ['username', 'clientid', 'peerhost'],
        );
        if (action !== 'publish' && action !== 'subscribe') {
          throw new FieldloomError(
            'invalid_input',
            `action is ${JSON.stringify(action.slice(0, 64))}: accepted is publish or subscribe`,
            { pointer: '/action' },
          );
        }
        const principal = username === undefined ? undefined : await access().principalOf(username);
        const may = (asking: MqttPrincipal) =>
          action === 'publish' ? policy.mayPublish(asking, topic) : policy.maySubscribe(asking, topic);
        return {
          question: { kind: action, username, clientId: clientid, address: peerhost, topic },
          allowed: principal !== undefined && may(principal),
        };
      },
      result,
    ),
  ];
}
