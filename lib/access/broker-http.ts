import { createHash, timingSafeEqual } from 'node:crypto';
import { FieldloomError } from '../core/errors.js';
import type { Admission, Route } from '../web/route.js';
import type { Access } from './access.js';
import type { Policy } from './policy.js';
import type { MqttPrincipal } from './principal.js';

/** Another broker's question about one of its clients, whatever the broker's own words are. */
export interface Question {
  kind: 'login' | 'publish' | 'subscribe' | 'vhost' | 'resource';
  username: string | undefined;
  clientId: string | undefined;
  /** Of the client, as the broker tells it. */
  address?: string | undefined;
  /** A topic, a filter, or the name of what the broker asks for. */
  topic?: string;
}

/** Told of each answer, for counting and showing. */
export type Answered = (question: Question, allowed: boolean) => void;

/** What the endpoints for other brokers lean on. */
export interface BrokerHttpOptions {
  /** @throws FieldloomError store_unavailable while the store is not open */
  access(): Pick<Access, 'authenticate' | 'principalOf'>;
  policy: Pick<Policy, 'mayPublish' | 'maySubscribe'>;
  admission: Admission;
  answered: Answered;
}

const PLACES =
  '`Authorization: Bearer <secret>`, `Authorization: Basic` with the secret as password, or `X-Fieldloom-Secret`';

/** The secret of a request, wherever a broker can put it (RabbitMQ knows only a user and password in the URL). */
function sentSecret(headers: Parameters<Admission>[0]): string | undefined {
  const own = headers['x-fieldloom-secret'];
  if (typeof own === 'string') return own;
  const { authorization } = headers;
  if (typeof authorization !== 'string') return undefined;
  const [, scheme = '', value = ''] = /^(bearer|basic) +(\S+)$/i.exec(authorization.trim()) ?? [];
  if (scheme.toLowerCase() !== 'basic') return scheme === '' ? undefined : value;
  const [, ...password] = Buffer.from(value, 'base64').toString().split(':');
  return password.join(':');
}

/**
 * Lets only those through who send the shared secret in a header (access.md "Other brokers").
 * @param secret undefined while it is not known yet
 * @param refused told of each request without it
 */
export function brokerAdmission(secret: () => string | undefined, refused: () => void): Admission {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return (headers) => {
    const wanted = secret();
    if (wanted === undefined) throw new FieldloomError('store_unavailable', 'the gateway is starting');
    const sent = sentSecret(headers);
    // Digests are of one length, so that the comparison tells nothing of the secret's.
    if (sent !== undefined && timingSafeEqual(digest(sent), digest(wanted))) return;
    refused();
    throw new FieldloomError('unauthenticated', `the shared secret is wanted: ${PLACES}`);
  };
}

/** @throws FieldloomError invalid_input, with the field; the value is not repeated, it may be a secret */
export function fieldsOf<Name extends string>(
  body: unknown,
  required: readonly Name[],
  optional: readonly Name[] = [],
): Record<Name, string> & Partial<Record<string, string>> {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new FieldloomError('invalid_input', 'the body has no fields', { pointer: '' });
  }
  const given = body as Record<string, unknown>;
  const refuse = (name: string, found: string) =>
    new FieldloomError('invalid_input', `${name} is ${found}: accepted is text`, { pointer: `/${name}` });
  const fields: Record<string, string> = {};
  for (const name of [...required, ...optional]) {
    // Own fields alone: `constructor` is everybody's.
    const value = Object.hasOwn(given, name) ? given[name] : undefined;
    if (value === undefined || value === null) {
      if (required.includes(name)) throw refuse(name, 'missing');
    } else if (typeof value !== 'string') throw refuse(name, 'no text');
    else fields[name] = value;
  }
  return fields as Record<Name, string>;
}

/**
 * Whether a login may connect under this client id. Who takes a client id takes over its session, so that of a
 * machine, controller or device is its user name; a service may use any that is not another login's name.
 */
export async function mayUseClientId(
  access: Pick<Access, 'principalOf'>,
  principal: MqttPrincipal,
  clientId: string,
): Promise<boolean> {
  if (clientId === principal.username) return true;
  return principal.role === 'service' && (await access.principalOf(clientId)) === undefined;
}

/**
 * A broker's login question. An empty value is none: that is how a broker writes what a client did not send.
 * @throws what the store throws: then nobody was refused, and the client should come again
 */
export async function mayLogIn(
  access: Pick<Access, 'authenticate' | 'principalOf'>,
  asked: { username?: string; password?: string; clientId: string; address?: string },
): Promise<boolean> {
  const { username, password, clientId, address } = asked;
  const principal = await access.authenticate({
    username: username || undefined,
    password: password ? Buffer.from(password) : undefined,
    clientId,
    address: address || undefined,
  });
  return principal !== undefined && mayUseClientId(access, principal, clientId);
}

/** One endpoint of a broker. @param answer the body of an answer */
export function brokerRoute(
  { admission, answered }: Pick<BrokerHttpOptions, 'admission' | 'answered'>,
  path: string,
  body: 'json' | 'form',
  decide: (body: unknown) => Promise<{ question: Question; allowed: boolean }>,
  answer: (allowed: boolean) => { body: unknown; headers?: Record<string, string> },
): Route {
  return {
    method: 'POST',
    path,
    access: admission,
    body,
    async handle(request) {
      const { question, allowed } = await decide(request.body);
      answered(question, allowed);
      return { status: 200, ...answer(allowed) };
    },
  };
}
