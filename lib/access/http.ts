import { FieldloomError } from '../core/errors.js';
import { pageLimit, pageOf, readCursor } from '../store/page.js';
import type { Request, Route } from '../web/route.js';
import type { Access } from './access.js';
import { clientIdentity, describeClient } from './client.js';
import type { UserPrincipal } from './principal.js';
import type { Tickets } from './tickets.js';
import type { Tokens } from './token.js';

function objectOf(body: unknown): Record<string, unknown> {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new FieldloomError('invalid_input', 'the body is no JSON object', { pointer: '' });
  }
  return body as Record<string, unknown>;
}

/** A text field; its value is never repeated, it may be a secret. */
function textOf(body: Record<string, unknown>, name: string): string {
  const value = body[name];
  if (typeof value !== 'string') {
    throw new FieldloomError(
      'invalid_input',
      `${name} is ${value === undefined ? 'missing' : 'no text'}: accepted is text`,
      { pointer: `/${name}` },
    );
  }
  return value;
}

/** The runtime lets nobody without a token through to `user` and `admin` routes. */
function userOf({ principal }: Request): UserPrincipal {
  if (principal === undefined) throw new FieldloomError('unauthenticated', 'a token is wanted');
  return principal;
}

/** @throws FieldloomError invalid_input */
function pageRequest(query: URLSearchParams): { limit: number; before?: number } {
  const text = query.get('limit');
  const limit = pageLimit(text === null ? {} : { limit: /^[0-9]+$/.test(text) ? Number(text) : Number.NaN });
  const cursor = query.get('cursor');
  if (cursor === null) return { limit };
  const [before] = readCursor(cursor, 'number');
  return { limit, before };
}

/** Tokens, tickets and MQTT logins by REST (contract.md "REST", access.md "People and programs"). */
export function accessRoutes(access: Access, tokens: Tokens, tickets: Tickets): Route[] {
  return [
    {
      method: 'POST',
      path: '/api/token/',
      access: 'open',
      async handle({ body, address }) {
        if (!tokens.issues)
          throw new FieldloomError(
            'not_found',
            'tokens are not issued here but by the service that signs them',
          );
        const fields = objectOf(body);
        const name = textOf(fields, 'username');
        const { userId } = await access.verifyUser(name, textOf(fields, 'password'), address);
        const [first, second] = [await tokens.issueAccess(userId), await tokens.issueRefresh(userId)];
        return { status: 200, body: { access: first.token, refresh: second.token } };
      },
    },
    {
      method: 'POST',
      path: '/api/token/refresh/',
      access: 'open',
      async handle({ body }) {
        const { userId } = await tokens.verifyRefresh(textOf(objectOf(body), 'refresh'));
        const { token } = await tokens.issueAccess(userId);
        return { status: 200, body: { access: token } };
      },
    },
    {
      method: 'POST',
      path: '/api/ws-ticket',
      access: 'user',
      async handle(request) {
        const { ticket, expiresAt } = tickets.issue(userOf(request));
        return { status: 200, body: { ticket, expires_at: new Date(expiresAt).toISOString() } };
      },
    },
    {
      method: 'GET',
      path: '/access/clients',
      access: 'admin',
      async handle({ query }) {
        const { limit, ...page } = pageRequest(query);
        // One more than asked for tells whether there is another page.
        const rows = await access.listClients({ limit: limit + 1, ...page });
        return { status: 200, body: pageOf(rows, limit, describeClient, ({ createdAt }) => [createdAt]) };
      },
    },
    {
      method: 'POST',
      path: '/access/clients',
      access: 'admin',
      async handle({ body }) {
        return { status: 201, body: await access.addClient(clientIdentity(objectOf(body))) };
      },
    },
    {
      method: 'POST',
      path: '/access/clients/:username/rotate',
      access: 'admin',
      async handle({ parameters }) {
        return { status: 200, body: await access.rotateClient(parameters['username'] ?? '') };
      },
    },
    {
      method: 'DELETE',
      path: '/access/clients/:username',
      access: 'admin',
      async handle({ parameters }) {
        await access.revokeClient(parameters['username'] ?? '');
        return { status: 204 };
      },
    },
  ];
}
