import type { UserPrincipal } from '../../lib/access/principal.js';
import type { DeviceListener } from '../../lib/command/events-backend.js';
import type { Pond } from '../../lib/command/pond.js';
import { createPondControl } from '../../lib/command/pond-control.js';
import type { ExecutionWithCommand } from '../../lib/command/pond-format.js';
import type { Alert } from '../../lib/command/ports.js';
import { systemClock } from '../../lib/core/clock.js';
import { FieldloomError } from '../../lib/core/errors.js';
import { commandStore } from '../../lib/store/command.js';
import { deviceStore } from '../../lib/store/device.js';
import { deviceQueries } from '../../lib/store/device-queries.js';
import { ponds } from '../../lib/store/pond.js';
import { pondOverview } from '../../lib/store/pond-overview.js';
import type { Answer, FailedRequest } from '../../lib/web/route.js';
import { createPondFeeds } from '../../nodes/command-api/live.js';
import type { PondRest } from '../../nodes/command-api/ports.js';
import { servePonds } from '../../nodes/command-api/serve.js';
import type { ProvidedDevices } from '../../nodes/device-events/provided.js';
import { addGuard } from '../../nodes/runtime/guard.js';
import { type FakeDispatcher, fakeDispatcher } from './fake-dispatcher.js';
import { recordedLog } from './mqtt.js';
import { httpRuntime } from './runtime.js';
import { later, opened } from './store.js';

const user = (userId: number, username: string, admin = false): UserPrincipal => ({
  role: 'user',
  userId,
  username,
  admin,
  companies: [],
  stores: [],
});
/** Each is logged in by its own name as a token. */
export const USERS = { ann: user(1, 'ann'), bob: user(2, 'bob'), root: user(3, 'root', true) };

/** Answers of the API. */
export interface Execution {
  execution_id: number;
  pond_id: number;
  action: string;
  status: string;
  parameters: unknown;
  created_at: string;
  completed_at: string | null;
  command: { command_id: string; status: string; attempts: number; reason?: string; history: unknown[] };
}
export interface Controlled {
  success: boolean;
  error?: string;
  data: { execution_id: number; message: string; status?: string; command?: Execution['command'] };
}

export interface PondApi {
  url: string;
  /** Belongs to ann. */
  pond: Pond;
  /** Belongs to bob, on the same device. */
  bobsPond: Pond;
  dispatcher: FakeDispatcher;
  store: ReturnType<typeof commandStore>;
  ponds: ReturnType<typeof ponds>;
  errors: string[];
  log: string[];
  refused: { request: FailedRequest; answer: Answer }[];
  executions: ExecutionWithCommand[];
  /** Tells of devices as a device-events node does. */
  tell(what: keyof DeviceListener, value: unknown): void;
  /** Users as they are now; who is deleted is revoked. */
  users: Map<number, UserPrincipal>;
  userChanged(userId: number): void;
  putAlert(alert: Alert): Promise<void>;
  putReading(position: number | null, at: number, values: Record<string, number>): Promise<void>;
  ask(
    method: string,
    path: string,
    options?: { as?: string; body?: unknown; headers?: Record<string, string> },
  ): Promise<{ status: number; headers: Headers; body: unknown }>;
}

/** The pond API on a real HTTP server and a real store, with a dispatcher that the test drives. */
export async function pondApi({
  mode = 'open' as 'open' | 'token',
  url = undefined as string | undefined,
} = {}) {
  const runtime = await httpRuntime();
  later(() => runtime.close());
  const database = await opened(url);
  const repository = ponds(database);
  const store = commandStore(database);
  const dispatcher = fakeDispatcher(store);
  const log = recordedLog();
  const users = new Map(Object.values(USERS).map((each) => [each.userId, each]));
  let changed: (userId: number) => void = () => {};
  addGuard(runtime.RED, {
    mode,
    origins: [],
    async verify(token) {
      const found = [...users.values()].find(({ username }) => username === token);
      if (found === undefined) throw new FieldloomError('invalid_token', 'no such token');
      return found;
    },
    async redeem(ticket) {
      if (!(ticket in USERS)) throw new FieldloomError('invalid_token', 'no such ticket');
      return USERS[ticket as keyof typeof USERS];
    },
    onUserChanged(listener) {
      changed = listener;
      return () => {};
    },
    user: async (userId) => users.get(userId),
  });

  const listeners = new Set<DeviceListener>();
  const deviceRows = deviceStore(database);
  const revisions = new Map<string, number>();
  const alerts = new Map<string, Alert>();
  const queries = deviceQueries(database);
  const devices: ProvidedDevices = {
    queries,
    async acknowledge(alertId, by) {
      const alert = { ...(alerts.get(alertId) as Alert), acknowledgedAt: Date.now(), acknowledgedBy: by };
      await putAlert(alert);
      return alert;
    },
    listen(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  const deviceRow = (device: string) => {
    const expectedRevision = revisions.get(device) ?? 0;
    revisions.set(device, expectedRevision + 1);
    return {
      expectedRevision,
      device: {
        device,
        online: true,
        lastSeen: Date.UTC(2025, 7, 30, 1),
        startedAt: null,
        firmwareVersion: '1.2.0',
        intervalMs: 30_000,
        revision: expectedRevision + 1,
        startupDigest: null,
        startupReceivedAt: null,
      },
    };
  };
  async function putAlert(alert: Alert): Promise<void> {
    alerts.set(alert.alertId, alert);
    const stored = { ...alert, saidAt: alert.raisedAt, known: [] };
    await deviceRows.save({ ...deviceRow(alert.device), latest: [], alert: stored });
  }

  const first = { ownerId: 1, device: 'AA:BB:CC:DD:EE:FF', feedLimitG: 10_000, thresholds: {} };
  const pond = await repository.add({
    ...first,
    position: 1,
    name: 'Test Pond',
    thresholds: { temperature: { min: 18, max: 30 } },
  });
  const bobsPond = await repository.add({ ...first, ownerId: 2, position: 2, name: 'Bob’s Pond' });

  const refused: PondApi['refused'] = [];
  const executions: ExecutionWithCommand[] = [];
  const control = createPondControl({ store, dispatcher: () => dispatcher, clock: systemClock });
  const rest: PondRest = {
    ponds: () => repository,
    overview: () => pondOverview(database),
    executions: () => store,
    control: () => control,
    dispatcher: () => dispatcher,
    devices: () => devices,
    refused: (request, answer) => void refused.push({ request, answer }),
    clock: systemClock,
  };
  const output = {
    wanted: () => true,
    execution: (found: ExecutionWithCommand) => void executions.push(found),
  };
  const feeds = createPondFeeds({ rest, clock: systemClock, log, output });
  const stop = servePonds(runtime.RED, rest, feeds, log);
  later(async () => stop());
  dispatcher.listen({ changed: feeds.changed });
  devices.listen(feeds.devices);

  const api: PondApi = {
    url: runtime.url,
    pond,
    bobsPond,
    dispatcher,
    store,
    ponds: repository,
    errors: runtime.errors,
    log: log.lines,
    refused,
    executions,
    users,
    userChanged: (userId) => changed(userId),
    tell(what, value) {
      for (const listener of listeners) (listener[what] as ((value: unknown) => void) | undefined)?.(value);
    },
    putAlert,
    async putReading(position, at, values) {
      const reading = {
        device: first.device,
        position,
        at,
        receivedAt: at + 1,
        values,
        extra: {},
        digest: `${at}`,
      };
      const latest = Object.entries(values).map(([parameter, value]) => ({ position, parameter, value, at }));
      await deviceRows.save({ ...deviceRow(first.device), reading, latest });
    },
    async ask(method, path, { as, body, headers = {} } = {}) {
      const answer = await fetch(runtime.url + path, {
        method,
        headers: {
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...(as !== undefined && { authorization: `Bearer ${as}` }),
          ...headers,
        },
        ...(body !== undefined && {
          body:
            typeof body === 'string' || body instanceof Uint8Array
              ? (body as BodyInit)
              : JSON.stringify(body),
        }),
      });
      const text = await answer.text();
      return {
        status: answer.status,
        headers: answer.headers,
        body: text === '' ? undefined : (JSON.parse(text) as unknown),
      };
    },
  };
  return api;
}
