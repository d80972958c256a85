import type { NodeAPI } from 'node-red';
import type { Access } from '../../lib/access/access.js';
import { type Answered, brokerAdmission } from '../../lib/access/broker-http.js';
import { emqxRoutes } from '../../lib/access/emqx.js';
import { createPolicy } from '../../lib/access/policy.js';
import { rabbitMqRoutes } from '../../lib/access/rabbitmq.js';
import { secret as secretFile } from '../../lib/access/secrets.js';
import { systemClock, type Timer } from '../../lib/core/clock.js';
import { FieldloomError } from '../../lib/core/errors.js';
import type { Route } from '../../lib/web/route.js';
import type { ProvidedAccess } from '../access/access.js';
import { defineNode } from '../runtime/define-node.js';
import { routes } from '../runtime/http.js';
import { addFigure } from '../runtime/metrics.js';

interface Config {
  access: string;
  emqx: boolean;
  rabbitmq: boolean;
  vhost: string;
  prefix: string;
}

interface Credentials {
  secret: string;
}

type Broker = 'emqx' | 'rabbitmq';

/** Between two updates of the status: thousands of clients may come at once. */
const STATUS_MS = 500;
/** Who is at these doors may do what every login may: as long as a secret that the gateway makes at its shortest. */
const SHORTEST_SECRET = 32;

/** @throws FieldloomError invalid_setting; the secret is not repeated */
function checkSecret(secret: string): string {
  if (secret.length >= SHORTEST_SECRET) return secret;
  throw new FieldloomError(
    'invalid_setting',
    `secret has ${secret.length} characters: accepted are ${SHORTEST_SECRET} or more; empty: the gateway makes one`,
  );
}

export = (RED: NodeAPI): void => {
  defineNode<Config, Credentials>(
    RED,
    'fieldloom-broker-auth',
    ({ config, credentials, closed, use, status, send, wired }) => {
      const provided = use<ProvidedAccess>(config.access, 'access');
      const policy = createPolicy([config.prefix ?? '']);
      const userDirectory = (RED.settings as { userDir?: string }).userDir ?? '.';
      const given = credentials.secret ? checkSecret(credentials.secret) : undefined;
      let secret = given;
      let access: Access | undefined;
      let timer: Timer | undefined;
      const counts = new Map<string, { labels: Record<string, string>; value: number }>();
      let allowed = 0;
      let refused = 0;

      function show() {
        timer = undefined;
        status('working', 'answering', { allowed, refused });
      }

      function count(labels: Record<string, string>) {
        const key = Object.values(labels).join(' ');
        const counted = counts.get(key) ?? { labels, value: 0 };
        counted.value += 1;
        counts.set(key, counted);
        timer ??= systemClock.setTimer(show, STATUS_MS);
      }

      const answered =
        (broker: Broker): Answered =>
        ({ kind, username, clientId, address, topic }, allows) => {
          if (allows) allowed += 1;
          else refused += 1;
          count({ broker, question: kind, answer: allows ? 'allow' : 'deny' });
          if (allows || !wired(0)) return;
          const payload = { broker, kind, username, client_id: clientId, address, topic };
          send({ topic: kind, payload } as never);
        };

      const options = (broker: Broker) => ({
        policy,
        access() {
          if (access === undefined)
            throw new FieldloomError('store_unavailable', 'the store is not open yet');
          return access;
        },
        admission: brokerAdmission(
          () => secret,
          () => {
            refused += 1;
            count({ broker, question: 'secret', answer: 'deny' });
          },
        ),
        answered: answered(broker),
      });

      const served: Route[] = [
        ...(config.emqx === false ? [] : emqxRoutes(options('emqx'))),
        ...(config.rabbitmq === false
          ? []
          : rabbitMqRoutes({ ...options('rabbitmq'), vhost: config.vhost || '/' })),
      ];
      const disposals = [
        // At once: a broker that asks too early is told to come again, not that there is nothing.
        routes(RED).add(served),
        addFigure({
          name: 'fieldloom_broker_auth_total',
          help: 'Questions of other brokers by their answer',
          labels: ['broker', 'question', 'answer'],
          read: () => [...counts.values()],
        }),
      ];

      return {
        async start() {
          status('waiting', 'starting');
          secret = given ?? (await secretFile(userDirectory, 'broker-secret'));
          access = await provided.access;
          if (!closed.aborted) show();
        },
        close() {
          timer?.cancel();
          for (const dispose of disposals) dispose();
        },
      };
    },
    { credentials: { secret: { type: 'password' } } },
  );
};
