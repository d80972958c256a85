import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { NodeAPI } from 'node-red';
import { type WebSocket, WebSocketServer } from 'ws';
import type { UserPrincipal } from '../../lib/access/principal.js';
import { createPathTable, type PathTable } from '../../lib/web/router.js';
import { guardOf, mayReadWithoutToken, originAllowed, whoAsks } from './guard.js';

export interface UpgradeRequest {
  parameters: Record<string, string>;
  query: URLSearchParams;
  /** Undefined: nobody we know; only where reading is open. */
  principal: UserPrincipal | undefined;
}

export interface UpgradeOptions {
  /** As of a REST route: `read` is open where ACCESS=open, `user` always wants a token or a ticket. */
  access?: 'read' | 'user';
}

export type UpgradeHandler = (socket: WebSocket, request: UpgradeRequest) => void;

interface Upgrade {
  handler: UpgradeHandler;
  access: 'read' | 'user';
}

interface Door {
  paths: PathTable<Upgrade>;
  server: WebSocketServer;
  listener: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
}

const doors = new WeakMap<object, Door>();

/** Clients only read these feeds, so what they send is small. */
const MAX_INCOMING_BYTES = 64 * 1024;

const PHRASES = { 400: 'Bad Request', 401: 'Unauthorized', 403: 'Forbidden' } as const;

function refuse(socket: Duplex, status: keyof typeof PHRASES) {
  const challenge = status === 401 ? 'WWW-Authenticate: Bearer\r\n' : '';
  socket.end(
    `HTTP/1.1 ${status} ${PHRASES[status]}\r\n${challenge}Connection: close\r\nContent-Length: 0\r\n\r\n`,
  );
}

/** The path below Node-RED's httpNodeRoot; undefined for a path elsewhere. */
function pathBelowRoot(RED: NodeAPI, url: URL): string | undefined {
  const setting = (RED.settings as { httpNodeRoot?: string | false }).httpNodeRoot;
  const root = typeof setting === 'string' ? setting.replace(/\/+$/, '') : '';
  if (root === '') return url.pathname;
  return url.pathname.startsWith(`${root}/`) ? url.pathname.slice(root.length) : undefined;
}

function openDoor(RED: NodeAPI): Door {
  const paths = createPathTable<Upgrade>();
  const server = new WebSocketServer({ noServer: true, maxPayload: MAX_INCOMING_BYTES });

  async function answer(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    query: URLSearchParams,
    found: { value: Upgrade; parameters: Record<string, string> },
  ) {
    const guard = guardOf(RED);
    if (!originAllowed(request, guard)) return refuse(socket, 403);
    let principal: UserPrincipal | undefined;
    try {
      principal = await whoAsks(guard, request, query.get('ticket') ?? undefined);
      if (principal === undefined) {
        if (found.value.access === 'user') return refuse(socket, 401);
        mayReadWithoutToken(guard, request);
      }
    } catch {
      return refuse(socket, 401);
    }
    server.handleUpgrade(request, socket, head, (webSocket) => {
      // A protocol error closes the socket; without a listener it would end the process.
      webSocket.on('error', () => {});
      found.value.handler(webSocket, { parameters: found.parameters, query, principal });
    });
  }

  return {
    paths,
    server,
    listener(request, socket, head) {
      const target = URL.canParse(request.url ?? '', 'http://gateway')
        ? new URL(request.url ?? '', 'http://gateway')
        : undefined;
      const path = target && pathBelowRoot(RED, target);
      if (target === undefined || path === undefined) return;
      let found: ReturnType<typeof paths.find>[number] | undefined;
      try {
        [found] = paths.find(path);
      } catch {
        return refuse(socket, 400);
      }
      // A path of nobody's may belong to another node.
      if (found === undefined) return;
      socket.on('error', () => {});
      void answer(request, socket, head, target.searchParams, found);
    },
  };
}

/**
 * Serves WebSockets at `template` (such as `/realtime/stores/{store_id}`) below httpNodeRoot. Who asks is known
 * before the upgrade: 401 otherwise, 403 for a page of another host. One listener on the server serves all
 * templates, and goes with the last of them.
 * @returns what stops it; open sockets are their handler's to close
 */
export function addUpgrade(
  RED: NodeAPI,
  template: string,
  handler: UpgradeHandler,
  { access = 'read' }: UpgradeOptions = {},
): () => void {
  const server = RED.server as unknown as import('node:http').Server;
  let door = doors.get(server);
  if (door === undefined) {
    door = openDoor(RED);
    doors.set(server, door);
    server.on('upgrade', door.listener);
  }
  const { paths, listener, server: webSockets } = door;
  const remove = paths.add(template, { handler, access });
  return () => {
    remove();
    if (paths.size === 0 && doors.get(server)?.listener === listener) {
      server.off('upgrade', listener);
      webSockets.close();
      doors.delete(server);
    }
  };
}
