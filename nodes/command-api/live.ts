import { mayRead } from '../../lib/access/policy.js';
import type { UserPrincipal } from '../../lib/access/principal.js';
import type { DeviceListener } from '../../lib/command/events-backend.js';
import type { Pond } from '../../lib/command/pond.js';
import {
  type ExecutionWithCommand,
  formatAlert,
  formatDevice,
  formatExecution,
  formatReading,
} from '../../lib/command/pond-format.js';
import type { CommandRecord } from '../../lib/command/ports.js';
import type { Clock } from '../../lib/core/clock.js';
import { asError } from '../../lib/core/errors.js';
import type { Log } from '../../lib/core/log.js';
import { createLiveHub, type LiveHub } from '../../lib/web/live-hub.js';
import type { PondRest } from './ports.js';
import { checkOwner, pondOf, pondSnapshot } from './view.js';

export interface LiveOptions {
  rest: Pick<PondRest, 'ponds' | 'executions' | 'devices'>;
  clock: Clock;
  log: Log;
  /** Told of each change of an execution; asked first whether anybody wants to know. */
  output: { wanted(): boolean; execution(found: ExecutionWithCommand): void };
}

/** Executions of which the newest revision that was told is remembered. */
const REMEMBERED = 1000;

const keyOf = ({ pondId }: Pond) => String(pondId);

/**
 * The live feeds of ponds (contract.md "WebSocket"): first the pond with its newest executions, then what happens to
 * it. A pond's owner is looked up with each message, so that who no longer owns it hears no more of it.
 */
export function createPondFeeds({ rest, clock, log, output }: LiveOptions) {
  /** Ponds that somebody follows, or has followed. */
  const known = new Map<string, Pond>();
  const told = new Map<number, number>();
  const waiting = new Set<number>();
  /** One after another: what was loaded later is sent later. */
  let turn: Promise<void> = Promise.resolve();

  const hub: LiveHub<UserPrincipal> = createLiveHub<UserPrincipal>({
    clock,
    async snapshot(key, viewer) {
      const pond = await pondOf(rest.ponds(), key);
      if (pond === undefined) return undefined;
      checkOwner(viewer, pond);
      known.set(key, pond);
      return pondSnapshot(rest, pond);
    },
    identity: (key) => ({ pond_id: Number(key) }),
    onError: (error) => log.warn(`live feed: ${asError(error).message}`),
  });

  function inTurn(work: () => Promise<void>): void {
    turn = turn.then(work).catch((error: unknown) => log.warn(`live feed: ${asError(error).message}`));
  }

  /** Publishes to a pond's feed, unless it has been removed or given to somebody else since. */
  async function publish(pondId: number, type: string, receivedAt: number, about: string, data: unknown) {
    const key = String(pondId);
    if (!hub.followed(key)) return;
    const now = await rest.ponds().find(pondId);
    hub.revoke(
      (viewer, of) =>
        of === key && (now === undefined || !mayRead(viewer, { kind: 'pond', ownerId: now.ownerId })),
    );
    if (now !== undefined) hub.publish(key, { type, receivedAt, about, data });
  }

  function toPondsOf(
    device: string,
    position: number | null,
    message: { type: string; receivedAt: number; about: string; data: unknown },
  ): void {
    for (const pond of known.values()) {
      if (!hub.followed(keyOf(pond))) known.delete(keyOf(pond));
      else if (pond.device === device && (position === null || pond.position === position)) {
        const { type, receivedAt, about, data } = message;
        inTurn(() => publish(pond.pondId, type, receivedAt, about, data));
      }
    }
  }

  async function tell(executionId: number): Promise<void> {
    waiting.delete(executionId);
    const found = await rest.executions().execution(executionId);
    // Two transitions of one step are one change.
    if (found === undefined || told.get(executionId) === found.command.revision) return;
    told.delete(executionId);
    told.set(executionId, found.command.revision);
    if (told.size > REMEMBERED) told.delete(told.keys().next().value as number);
    output.execution(found);
    const { pondId } = found.execution;
    await publish(pondId, 'execution', clock.now(), `execution ${executionId}`, formatExecution(found));
  }

  const devices: DeviceListener = {
    reading(reading) {
      const { device, position, receivedAt } = reading;
      const data = formatReading(reading);
      toPondsOf(device, position, { type: 'reading', receivedAt, about: `reading ${position}`, data });
    },
    device(record) {
      const data = formatDevice(record);
      toPondsOf(record.device, null, { type: 'device', receivedAt: clock.now(), about: 'device', data });
    },
    alert(alert) {
      const about = `alert ${alert.alertId}`;
      const data = formatAlert(alert);
      toPondsOf(alert.device, alert.position, { type: 'alert', receivedAt: clock.now(), about, data });
    },
  };

  return {
    hub,
    /** Hears of devices. */
    devices,
    /** Hears of each stored change of a command. */
    changed({ executionId }: CommandRecord): void {
      if (executionId === null || waiting.has(executionId)) return;
      if (hub.clients === 0 && !output.wanted()) return;
      waiting.add(executionId);
      inTurn(() => tell(executionId));
    },
    /** A user lost a right, or all. @param now undefined once revoked */
    userChanged(userId: number, now: UserPrincipal | undefined): void {
      hub.revoke((viewer, key) => {
        const ownerId = known.get(key)?.ownerId ?? Number.NaN;
        return viewer.userId === userId && (now === undefined || !mayRead(now, { kind: 'pond', ownerId }));
      });
    },
    close: () => hub.close(),
  };
}

export type PondFeeds = ReturnType<typeof createPondFeeds>;
