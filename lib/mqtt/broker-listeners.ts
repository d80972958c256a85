import { createServer as createHttpServer, type IncomingMessage, type RequestListener } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net';
import type { Duplex } from 'node:stream';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';
import { createWebSocketStream, WebSocketServer } from 'ws';
import { FieldloomError } from '../core/errors.js';

export type ListenerKind = 'mqtt' | 'mqtts' | 'ws' | 'wss';

export interface ListenerOptions {
  kind: ListenerKind;
  host: string;
  /** 0: any free one. */
  port: number;
  /** For mqtts and wss: key and cert, and whatever else Node.js takes. */
  tls?: TlsOptions;
}

export interface ListenerAddress {
  kind: ListenerKind;
  host: string;
  /** The one in use. */
  port: number;
  url: string;
}

export interface Listener extends ListenerAddress {
  /** No new connections; those there are stay. */
  close(): Promise<void>;
}

export interface ListenerLimits {
  /** Connections at once on one listener; undefined for no limit. */
  maxConnections: number | undefined;
  /** Largest WebSocket message, bytes. */
  maxMessageBytes: number;
  /** For TLS and HTTP handshakes, ms. */
  handshakeMs: number;
}

/** @param address of the client */
export type Accept = (stream: Duplex, address: string) => void;

/**
 * Listens for MQTT clients.
 * @throws FieldloomError invalid_setting where TLS lacks its key or certificate; conflict where the port is taken
 */
export async function listen(
  options: ListenerOptions,
  limits: ListenerLimits,
  accept: Accept,
): Promise<Listener> {
  const secure = options.kind === 'mqtts' || options.kind === 'wss';
  const { tls = {} } = options;
  if (secure && tls.pfx === undefined && (tls.key === undefined || tls.cert === undefined)) {
    throw new FieldloomError(
      'invalid_setting',
      `${options.kind} listener: a TLS key and certificate are needed`,
    );
  }
  const server =
    options.kind === 'mqtt'
      ? createTcpServer({ noDelay: true }, (socket) => accept(socket, socket.remoteAddress ?? ''))
      : options.kind === 'mqtts'
        ? createTlsServer({ ...tls, handshakeTimeout: limits.handshakeMs }, (socket) => {
            socket.setNoDelay(true);
            accept(socket, socket.remoteAddress ?? '');
          })
        : webSocketServer(options, limits, accept);
  if (limits.maxConnections !== undefined) server.maxConnections = limits.maxConnections;
  await started(server, options);
  const { port } = server.address() as AddressInfo;
  const host = options.host.includes(':') ? `[${options.host}]` : options.host;
  return {
    kind: options.kind,
    host: options.host,
    port,
    url: `${options.kind}://${host}:${port}`,
    close: () => new Promise((resolve) => void server.close(() => resolve())),
  };
}

function started(server: Server, { kind, host, port }: ListenerOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const taken = error.code === 'EADDRINUSE';
      reject(
        new FieldloomError(
          taken ? 'conflict' : 'invalid_setting',
          `${kind} listener: cannot listen on ${host} port ${port}: ${taken ? 'the port is taken' : error.message}`,
          { cause: error, details: { host, port } },
        ),
      );
    });
    server.listen(port, host, resolve);
  });
}

function webSocketServer({ kind, tls }: ListenerOptions, limits: ListenerLimits, accept: Accept): Server {
  const refuse: RequestListener = (_request, response) => {
    response.writeHead(426, { 'Content-Type': 'text/plain', Upgrade: 'websocket' });
    response.end('This is an MQTT broker: connect with a WebSocket of the sub-protocol mqtt.\n');
  };
  const timeouts = { headersTimeout: limits.handshakeMs, requestTimeout: limits.handshakeMs };
  const server =
    kind === 'wss' ? createHttpsServer({ ...tls, ...timeouts }, refuse) : createHttpServer(timeouts, refuse);
  const upgrades = new WebSocketServer({
    noServer: true,
    maxPayload: limits.maxMessageBytes,
    perMessageDeflate: false,
    handleProtocols: (protocols) => (protocols.has('mqtt') ? 'mqtt' : false),
  });
  server.on('upgrade', (request: IncomingMessage, socket, head) => {
    socket.on('error', () => socket.destroy());
    upgrades.handleUpgrade(request, socket, head, (webSocket) => {
      accept(createWebSocketStream(webSocket), request.socket.remoteAddress ?? '');
    });
  });
  return server;
}
