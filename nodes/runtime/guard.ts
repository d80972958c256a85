import type { IncomingMessage } from 'node:http';
import type { NodeAPI } from 'node-red';
import type { UserPrincipal } from '../../lib/access/principal.js';
import { FieldloomError } from '../../lib/core/errors.js';
import { isOwnAddress, isSafeHost } from '../../lib/web/host.js';

/** Who stands at the door of REST and live feeds: an access node. */
export interface Guard {
  /** open: reading wants no token. */
  readonly mode: 'open' | 'token';
  /** Origins of other hosts' pages that may open live feeds. */
  readonly origins: readonly string[];
  /** @throws FieldloomError invalid_token */
  verify(token: string): Promise<UserPrincipal>;
  /** The user a one-time ticket was given to, once. @throws FieldloomError invalid_token */
  redeem(ticket: string): Promise<UserPrincipal>;
  /** Calls back within 5 s of a revocation or a change of what a user may. @returns what ends it */
  onUserChanged(listener: (userId: number) => void): () => void;
  /** What the user may now; undefined once revoked. */
  user(userId: number): Promise<UserPrincipal | undefined>;
}

const guards = new WeakMap<object, Set<Guard>>();

type Watcher = (userId: number) => void;
const watchers = new WeakMap<object, Set<Watcher>>();

/** Puts a guard at the door of this runtime; the first that stands there is asked. @returns what removes it */
export function addGuard(RED: NodeAPI, guard: Guard): () => void {
  const all = guards.get(RED.httpNode) ?? new Set();
  guards.set(RED.httpNode, all.add(guard));
  const stop = guard.onUserChanged((userId) => {
    for (const watcher of watchers.get(RED.httpNode) ?? []) watcher(userId);
  });
  return () => {
    stop();
    all.delete(guard);
  };
}

/** As `Guard.onUserChanged`, whichever guard stands at the door. @returns what ends it */
export function watchUsers(RED: NodeAPI, watcher: Watcher): () => void {
  const all = watchers.get(RED.httpNode) ?? new Set();
  watchers.set(RED.httpNode, all.add(watcher));
  return () => {
    all.delete(watcher);
  };
}

export function guardOf(RED: NodeAPI): Guard | undefined {
  return guards.get(RED.httpNode)?.values().next().value;
}

const unauthenticated = (text: string) => new FieldloomError('unauthenticated', text);

/** The token of `Authorization: Bearer …`; undefined without that header. */
function bearer(request: IncomingMessage): string | undefined {
  const header = request.headers.authorization;
  if (header === undefined) return undefined;
  const token = /^Bearer +([^\s]+)$/i.exec(header.trim())?.[1];
  if (token === undefined) throw unauthenticated('Authorization: accepted is "Bearer <token>"');
  return token;
}

/**
 * Who asks. Undefined: nobody we know, which is enough where reading is open.
 * @param ticket one-time ticket of a browser's WebSocket
 * @throws FieldloomError unauthenticated, invalid_token
 */
export async function whoAsks(
  guard: Guard | undefined,
  request: IncomingMessage,
  ticket?: string,
): Promise<UserPrincipal | undefined> {
  const token = bearer(request);
  if (token === undefined && ticket === undefined) return undefined;
  if (guard === undefined) throw unauthenticated('no access node checks tokens here');
  return token === undefined ? guard.redeem(ticket as string) : guard.verify(token);
}

/** A page of this host, one of the listed, or no page at all (a program sends no Origin). */
export function originAllowed({ headers }: IncomingMessage, guard: Guard | undefined): boolean {
  const { origin, host } = headers;
  if (origin === undefined) return true;
  if (guard?.origins.includes(origin)) return true;
  return URL.canParse(origin) && new URL(origin).host === host;
}

/**
 * Where no token is wanted, nothing but the origin tells our own page from another site's that sends a form here.
 * @throws FieldloomError forbidden
 */
export function mayActWithoutToken(guard: Guard | undefined, request: IncomingMessage) {
  if (originAllowed(request, guard)) return;
  throw new FieldloomError(
    'forbidden',
    `a page of ${request.headers.origin?.slice(0, 256)} may not do this without a token`,
  );
}

/**
 * @throws FieldloomError unauthenticated where reading without a token is not open, the request came from another
 *   computer, or by a name that may be another site's
 */
export function mayReadWithoutToken(guard: Guard | undefined, { headers, socket }: IncomingMessage) {
  if (guard?.mode !== 'open') throw unauthenticated('a token is wanted: Authorization: Bearer <token>');
  // The start command refuses ACCESS=open where others can reach it; a Node-RED of one's own may listen anywhere.
  if (!isOwnAddress(socket.remoteAddress)) {
    throw unauthenticated('a token is wanted from another computer: without one only this one may read');
  }
  if (isSafeHost(headers.host, guard.origins)) return;
  throw unauthenticated(
    `a token is wanted by the name ${JSON.stringify(headers.host?.slice(0, 256))}: ` +
      'without one use the address, or list the name among the origins of the access node',
  );
}
