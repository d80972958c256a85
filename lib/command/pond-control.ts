import { createHash } from 'node:crypto';
import type { Clock } from '../core/clock.js';
import { FieldloomError, hasCode } from '../core/errors.js';
import type { Pond, PondOrder } from './pond.js';
import type { CommandRecord, Dispatcher, ExecutionRecord, IdempotencyRecord } from './ports.js';

/** What controlling a pond asks of the store. */
export interface PondControlStore {
  /** An id that no execution has had. */
  nextExecutionId(): Promise<number>;
  idempotency(userId: number, key: string): Promise<IdempotencyRecord | undefined>;
  /** Undefined where it is unknown. */
  execution(executionId: number): Promise<Commanded | undefined>;
}

export interface Commanded {
  execution: ExecutionRecord;
  command: CommandRecord;
}

export interface PondControlPorts {
  store: PondControlStore;
  /** The one that drives the commands now. @throws FieldloomError missing_setting where there is none */
  dispatcher(): Dispatcher;
  clock: Clock;
}

export interface ControlRequest {
  pond: Pond;
  userId: number;
  order: PondOrder;
  /** A key that the client chose, with all that makes its request this one and no other. */
  idempotency?: { key: string; request: unknown };
}

export interface Controlled extends Commanded {
  /** This is the answer to a request that was made before. */
  repeated: boolean;
}

export interface PondControl {
  /**
   * Stores an execution and its command; the device acts later.
   * (seed: pond-command-flow, 3 and 5; protocols.md "Commands")
   * @throws FieldloomError not_connected where the broker is away: the execution is stored as failed; conflict where
   *   the key was used for another request; what the store and the dispatcher throw
   */
  control(request: ControlRequest): Promise<Controlled>;
}

/** JSON with the names of each object in their order: the same for the same content, however it was written. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([name, each]) => `${JSON.stringify(name)}:${canonical(each)}`).join(',')}}`;
}

/** SHA-256 in hex of what a request was. */
export function requestDigest(request: unknown): string {
  return createHash('sha256').update(canonical(request)).digest('hex');
}

/** The broker was away when the command came: it was never on its way. */
const neverLeft = ({ command }: Controlled) => command.reason === 'not_connected' && command.attempts === 0;

export function createPondControl({ store, dispatcher, clock }: PondControlPorts): PondControl {
  /** Requests under way, by user and key. */
  const underWay = new Map<string, Promise<unknown>>();

  /** One after another: the second of two that come at once finds the first one stored. */
  async function inTurn<T>(key: string, work: () => Promise<T>): Promise<T> {
    const turn = (underWay.get(key) ?? Promise.resolve()).then(work, work);
    underWay.set(key, turn);
    try {
      return await turn;
    } finally {
      if (underWay.get(key) === turn) underWay.delete(key);
    }
  }

  async function earlier(userId: number, key: string, digest: string): Promise<Controlled | undefined> {
    const known = await store.idempotency(userId, key);
    if (known === undefined) return undefined;
    if (known.digest !== digest) {
      throw new FieldloomError('conflict', 'Idempotency-Key was used with another request before');
    }
    const commanded = await store.execution(known.executionId);
    if (commanded === undefined) {
      throw new FieldloomError('conflict', 'Idempotency-Key was used for a command that is kept no more');
    }
    return { ...commanded, repeated: true };
  }

  async function submit({ pond, userId, order, idempotency }: ControlRequest, digest: string) {
    const now = clock.now();
    const driver = dispatcher();
    const executionId = await store.nextExecutionId();
    const execution: ExecutionRecord = {
      executionId,
      pondId: pond.pondId,
      executionType: order.action,
      action: order.action,
      priority: 'MANUAL_COMMAND',
      status: 'EXECUTING',
      userId,
      parameters: order.parameters,
      createdAt: now,
      completedAt: null,
    };
    const command = await driver.submit({
      device: pond.device,
      commandType: order.commandType,
      parameters: order.commandParameters,
      values: { pond_position: pond.position },
      waitForBroker: false,
      execution,
      ...(idempotency && {
        idempotency: { userId, key: idempotency.key, digest, executionId, createdAt: now },
      }),
    });
    return { execution, command, repeated: false };
  }

  async function submitOnce(request: ControlRequest, key: string, digest: string): Promise<Controlled> {
    const known = await earlier(request.userId, key, digest);
    if (known !== undefined) return known;
    try {
      return await submit(request, digest);
    } catch (error) {
      // Another gateway on this store was quicker with the same request.
      const taken = hasCode(error, 'store_conflict') || hasCode(error, 'conflict');
      const first = taken ? await earlier(request.userId, key, digest) : undefined;
      if (first !== undefined) return first;
      throw error;
    }
  }

  return {
    async control(request) {
      const { userId, idempotency } = request;
      const digest = idempotency === undefined ? '' : requestDigest(idempotency.request);
      const controlled =
        idempotency === undefined
          ? await submit(request, digest)
          : await inTurn(`${userId} ${idempotency.key}`, () => submitOnce(request, idempotency.key, digest));
      if (neverLeft(controlled)) {
        throw new FieldloomError('not_connected', 'the broker is away: nothing was sent to the device');
      }
      return controlled;
    },
  };
}
