import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import RED from 'node-red';
import { Access } from '../lib/access/access.js';
import { secret } from '../lib/access/secrets.js';
import { FieldloomError } from '../lib/core/errors.js';
import { openStore } from '../lib/store/open.js';
import { isSafeHost } from '../lib/web/host.js';
import { isApiPath } from '../lib/web/router.js';
import { DATA_HEADERS, PAGE_HEADERS } from '../lib/web/security-headers.js';
import { followRequests } from '../lib/web/under-way.js';
import { health } from '../nodes/runtime/health.js';
import { unknownApiPath } from '../nodes/runtime/http.js';
import { metricsText } from '../nodes/runtime/metrics.js';
import { healthAnswer } from '../nodes/runtime/system-routes.js';
import { type Composition, composeFlows, installFlows } from './compose.js';
import { nodeRedSettings, PACKAGE_ROOT } from './editor.js';
import { editorLogin } from './editor-login.js';
import { isFree, nextFree } from './ports.js';
import type { Settings } from './settings.js';
import { prepareSimulatedImage } from './simulated-firmware.js';
import {
  renewSimulatedLogins,
  sharedLogin,
  simulatedClients,
  simulatedCompanies,
  simulatedStores,
} from './simulated-logins.js';
import { type DemoOwner, prepareSimulatedPonds, simulatedPonds } from './simulated-ponds.js';
import { prepareSimulatedRoasters } from './simulated-roasts.js';

export interface Gateway {
  /** As in the settings, or the next free one. */
  mqttPort: number;
  flows: Composition;
  /** Whose the simulated ponds are; undefined without simulation. */
  demo: DemoOwner | undefined;
  /** Made at this start, to be shown once. */
  newEditorPassword: string | undefined;
  /** Fulfils when `/health` says ok; false where that does not come within `ms`. */
  ready(ms: number): Promise<boolean>;
  /** Closes every node, then the server. */
  stop(): Promise<void>;
}

type Handler = (request: IncomingMessage, response: ServerResponse, next: () => void) => void;

const FLOWS = join(PACKAGE_ROOT, 'flows');

/**
 * A whole request may take so long: a firmware image over a slow line outlasts the 5 minutes of Node.js. Bodies on
 * which nothing comes are given up long before (nodes/runtime).
 */
const UPLOAD_MS = 2 * 60 * 60 * 1000;

/** So long the end waits for requests that are under way; the whole of it has 10 s. */
const DRAIN_MS = 1_000;

/** Parts without which the gateway is not well. */
const PARTS = ['broker', 'store'] as const;

async function choosePorts(settings: Settings): Promise<number> {
  const wanted: [name: string, port: number | undefined][] = [['PORT', settings.port]];
  const { mqttPort, mqttPortFixed, mqttsPort, mqttWsPort } = settings;
  if (settings.external === undefined) {
    if (mqttPortFixed) wanted.push(['MQTT_PORT', mqttPort]);
    wanted.push(['MQTTS_PORT', mqttsPort], ['MQTT_WS_PORT', mqttWsPort]);
  }
  for (const [name, port] of wanted) {
    if (port === undefined) continue;
    const free = await isFree(settings.host, port).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EADDRNOTAVAIL' && error.code !== 'ENOTFOUND' && error.code !== 'EACCES')
        throw error;
      const [variable, value] = error.code === 'EACCES' ? [name, port] : ['HOST', settings.host];
      const accepted =
        error.code === 'EACCES' ? 'a port that this user may open' : 'an address of this machine';
      throw new FieldloomError('invalid_setting', `${variable}=${value}: accepted is ${accepted}`);
    });
    if (!free) {
      throw new FieldloomError(
        'invalid_setting',
        `${name}=${port}: another program listens there already; accepted is a free port`,
      );
    }
  }
  if (mqttPortFixed || settings.external !== undefined) return mqttPort;
  const taken = [settings.port, mqttsPort, mqttWsPort].filter((port) => port !== undefined);
  return nextFree(settings.host, mqttPort, taken);
}

/** What the flows refer to as `${NAME}`; an empty value is an empty setting there. */
function publish(settings: Settings, mqttPort: number): void {
  const text = (value: string | number | undefined) => String(value ?? '');
  Object.assign(process.env, {
    HOST: settings.host,
    MQTT_PORT: text(mqttPort),
    MQTTS_PORT: text(settings.mqttsPort),
    MQTT_WS_PORT: text(settings.mqttWsPort),
    TLS_CERT: text(settings.tls?.certFile),
    TLS_KEY: text(settings.tls?.keyFile),
    MQTT_URL: text(settings.external?.url),
    MQTT_USERNAME: text(settings.external?.username),
    MQTT_PASSWORD: text(settings.external?.password),
    DATABASE_URL: settings.databaseUrl,
    GATEWAY_ID: text(settings.gatewayId),
    MQTT_SHARE: text(settings.share),
    FIELDLOOM_DIR: settings.directory,
    PUBLIC_URL: settings.publicUrl,
    ACCESS: settings.access,
  });
}

/** Brings the database to this version before anything leans on it, and lets the simulated machines in. */
async function prepareStore(settings: Settings, mqttPort: number): Promise<DemoOwner | undefined> {
  const { simulate, external, directory, host } = settings;
  const store = await openStore(settings.databaseUrl);
  try {
    const access = await Access.open(store);
    try {
      const flows = await composeFlows(FLOWS);
      const clients = simulatedClients(flows);
      // Logins of ours are no use at another broker: there its own are used.
      const own = await renewSimulatedLogins(access, clients, simulate && external === undefined);
      const logins = external === undefined ? own : sharedLogin(clients, external);
      const wanted = simulatedPonds(flows);
      const rights = { stores: simulatedStores(clients), companies: simulatedCompanies(clients) };
      const demo = await prepareSimulatedPonds(store, access, directory, wanted, rights, simulate);
      const newImage = await prepareSimulatedImage(store, directory, simulate);
      await prepareSimulatedRoasters(store, simulate);
      const address = host === '0.0.0.0' || host === '::' ? 'localhost' : host;
      const url = `mqtt://${address.includes(':') ? `[${address}]` : address}:${mqttPort}`;
      Object.assign(process.env, logins, {
        FIELDLOOM_SIMULATOR_URL: external?.url ?? url,
        FIELDLOOM_SIMULATED_PAST: demo?.newPonds === true ? '1' : '',
        FIELDLOOM_SIMULATED_IMAGE: newImage ?? '',
      });
      return demo;
    } finally {
      access.close();
    }
  } finally {
    await store.close();
  }
}

function answerJson(response: ServerResponse, status: number, body: object) {
  response.writeHead(status, {
    'Content-Type': 'application/json; charset=utf-8',
    'Cache-Control': 'no-store',
    ...DATA_HEADERS,
  });
  response.end(JSON.stringify(body));
}

/** `/health` and `/metrics`; every other path goes on. @param mqttPort of the embedded broker, where that is used */
const ownPaths =
  (mqttPort: number | undefined): Handler =>
  (request, response, next) => {
    const path = request.url?.split('?')[0];
    if (path === '/health') {
      const { status, body } = healthAnswer(PARTS, mqttPort === undefined ? {} : { mqtt_port: mqttPort });
      answerJson(response, status, body);
    } else if (path === '/metrics') {
      metricsText().then(
        ({ type, text }) => response.writeHead(200, { 'Content-Type': type, ...DATA_HEADERS }).end(text),
        (error: Error) => answerJson(response, 500, { error: { code: 'internal', message: error.message } }),
      );
    } else next();
  };

/** On whatever is answered after this; what is no page overwrites them. */
const pageHeaders: Handler = (_request, response, next) => {
  for (const [name, value] of Object.entries(PAGE_HEADERS)) response.setHeader(name, value);
  next();
};

/** The editor wants no login on a loopback address: only who asks by a name of ours gets there. */
const ownNamesOnly =
  ({ loopback, publicUrl }: Settings): Handler =>
  (request, response, next) => {
    const { host } = request.headers;
    if (!loopback || isSafeHost(host, [publicUrl])) return next();
    const message = `${JSON.stringify(host?.slice(0, 256))} is no name of this gateway: use its address, or set PUBLIC_URL`;
    answerJson(response, 421, { error: { code: 'forbidden', message } });
  };

/**
 * While the flows start or are deployed, a path of the API that nobody serves is not unknown but early: a machine
 * that asks is told to come again.
 */
function early(): Handler {
  let running = false;
  RED.events.on('flows:stopping', () => {
    running = false;
  });
  RED.events.on('flows:started', () => {
    running = true;
  });
  return (request, response, next) => {
    if (running || !isApiPath(request.url?.split('?')[0] ?? '/')) return next();
    request.resume();
    const error = { code: 'store_unavailable', message: 'the gateway is starting: try again in a moment' };
    response.setHeader('Retry-After', '2');
    answerJson(response, 503, { error });
  };
}

const nothingHere: Handler = (request, response) => {
  answerJson(response, 404, { error: { code: 'not_found', message: `there is nothing at ${request.url}` } });
};

/**
 * The order of those who may answer: what Node-RED's editor parses and answers comes after the REST of the flows,
 * since both have their root at `/`.
 */
function chain(handlers: readonly Handler[]) {
  return (request: IncomingMessage, response: ServerResponse) => {
    const call = (index: number) => handlers[index]?.(request, response, () => call(index + 1));
    call(0);
  };
}

/**
 * Starts Node-RED with our palette and flows in this process. Once a process: Node-RED cannot be started anew.
 * @throws FieldloomError invalid_setting for a port that is taken or an address that is not ours
 */
export async function startGateway(settings: Settings): Promise<Gateway> {
  const mqttPort = await choosePorts(settings);
  await mkdir(settings.directory, { recursive: true, mode: 0o700 });
  const credentialSecret = await secret(settings.directory, 'credential-secret');
  const login = settings.loopback ? undefined : await editorLogin(settings.directory);
  publish(settings, mqttPort);
  const demo = await prepareStore(settings, mqttPort);
  const flows = await installFlows(FLOWS, settings.directory, {
    simulate: settings.simulate,
    credentialSecret,
  });

  const server = createServer({ requestTimeout: UPLOAD_MS });
  const underWay = followRequests(server);
  RED.init(server, nodeRedSettings(settings, credentialSecret, login) as never);
  server.on(
    'request',
    chain([
      pageHeaders,
      ownNamesOnly(settings),
      ownPaths(settings.external === undefined ? mqttPort : undefined),
      RED.httpNode as unknown as Handler,
      early(),
      unknownApiPath,
      RED.httpAdmin as unknown as Handler,
      nothingHere,
    ]),
  );
  // WebSockets do not come through the chain; who opens one on a closed socket gets nowhere.
  server.on('upgrade', ({ headers }, socket) => {
    if (settings.loopback && !isSafeHost(headers.host, [settings.publicUrl])) socket.destroy();
  });
  server.listen({ host: settings.host, port: settings.port });
  await once(server, 'listening');
  await RED.start();

  return {
    mqttPort,
    flows,
    demo,
    newEditorPassword: login?.newPassword,
    async ready(ms) {
      const end = Date.now() + ms;
      while (!health(PARTS).ok) {
        if (Date.now() > end) return false;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      return true;
    },
    async stop() {
      server.close();
      await Promise.race([underWay(), delay(DRAIN_MS, undefined, { ref: false })]);
      await RED.stop();
      server.closeAllConnections();
    },
  };
}
