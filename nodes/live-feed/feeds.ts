import { mayRead } from '../../lib/access/policy.js';
import type { UserPrincipal } from '../../lib/access/principal.js';
import type { Clock } from '../../lib/core/clock.js';
import { asError, FieldloomError, hasCode } from '../../lib/core/errors.js';
import type { Log } from '../../lib/core/log.js';
import { isTopicLevel } from '../../lib/core/topic.js';
import type { SolarListener } from '../../lib/solar/backend-ports.js';
import type { MachineIds } from '../../lib/solar/ports.js';
import { formatChange, formatStatus, formatTelemetry } from '../../lib/solar/rest-format.js';
import { CLOSE, createLiveHub, type LiveHub, type LiveSocket } from '../../lib/web/live-hub.js';
import type { UpgradeRequest } from '../runtime/upgrade.js';
import type { ProvidedTelemetry } from '../telemetry-store/provided.js';

/** Who follows a live feed. Undefined: nobody we know, where reading is open. */
export type Viewer = UserPrincipal | undefined;

/** What a WebSocket of `ws` has beside what the hub needs. */
export interface FeedSocket extends LiveSocket {
  on(event: 'pong' | 'close', listener: () => void): unknown;
}

export interface MachineFeedsOptions {
  /** @throws FieldloomError store_unavailable while there is no telemetry-store node */
  telemetry(): ProvidedTelemetry;
  clock: Clock;
  log: Log;
}

// No id has a slash (lib/solar/codec.ts): the pair is told from any other.
const keyOf = ({ companyId, machineId }: MachineIds) => `${companyId}/${machineId}`;
function idsOf(key: string): MachineIds {
  const slash = key.indexOf('/');
  return { companyId: key.slice(0, slash), machineId: key.slice(slash + 1) };
}

const maySee = (viewer: Viewer, company: string) =>
  viewer === undefined || mayRead(viewer, { kind: 'company', company });

/**
 * The live feeds of solar machines (contract.md "WebSocket"): first status and last telemetry, then each message as it
 * comes. A machine of another company is as one that does not exist.
 */
export function createMachineFeeds({ telemetry, clock, log }: MachineFeedsOptions) {
  const hub: LiveHub<Viewer> = createLiveHub<Viewer>({
    clock,
    async snapshot(key) {
      const from = telemetry();
      const machine = await from.machine(idsOf(key));
      if (machine === undefined) return undefined;
      const latest = await from.latest(machine);
      return {
        status: formatStatus(machine),
        telemetry: latest === undefined ? null : formatTelemetry(latest),
      };
    },
    identity(key) {
      const { companyId, machineId } = idsOf(key);
      return { machine_id: machineId, company_id: companyId };
    },
    onError: (error) => log.warn(`live feed: ${asError(error).message}`),
  });

  /** @throws FieldloomError forbidden, not_found */
  async function companyOf(machineId: string, viewer: Viewer, asked: string | null): Promise<string> {
    if (asked !== null && asked !== '') {
      if (!maySee(viewer, asked)) throw new FieldloomError('forbidden', 'not one of your companies');
      // A slash would make another pair of it.
      if (!isTopicLevel(asked)) throw new FieldloomError('not_found', 'unknown');
      return asked;
    }
    const companies = await (await telemetry().queries()).companiesWith(machineId);
    const [company, ...others] = companies.filter((each) => maySee(viewer, each));
    if (company === undefined) throw new FieldloomError('not_found', 'unknown');
    if (others.length > 0) {
      throw new FieldloomError('not_found', 'several companies have this machine id: ?company=');
    }
    return company;
  }

  async function follow(socket: FeedSocket, { parameters, query, principal }: UpgradeRequest): Promise<void> {
    let gone = false;
    socket.on('close', () => {
      gone = true;
    });
    const machineId = parameters['machine_id'] ?? '';
    try {
      const companyId = await companyOf(machineId, principal, query.get('company'));
      if (gone) return;
      const client = hub.join(keyOf({ companyId, machineId }), socket, principal);
      socket.on('pong', client.alive);
      socket.on('close', client.left);
    } catch (error) {
      if (hasCode(error, 'forbidden')) socket.close(CLOSE.forbidden, error.message);
      else if (hasCode(error, 'not_found')) socket.close(CLOSE.unknown, error.message);
      else {
        log.warn(`live feed: ${asError(error).message}`);
        socket.close(CLOSE.failed, 'no snapshot');
      }
    }
  }

  const tellTelemetry: NonNullable<SolarListener['telemetry']> = (machine, row) => {
    if (hub.clients === 0) return;
    const key = keyOf(machine);
    if (!hub.followed(key)) return; // a client that comes gets a snapshot first
    const data = formatTelemetry(row);
    hub.publish(key, { type: 'telemetry', receivedAt: row.receivedAt, about: 'telemetry', data });
  };

  return {
    hub,
    follow,
    /** Hears of machines. @param fast telemetry is told at arrival, before it is committed */
    listener: (fast: boolean): SolarListener => ({
      ...(fast ? { arrived: tellTelemetry } : { telemetry: tellTelemetry }),
      status(machine, change) {
        const key = keyOf(machine);
        if (!hub.followed(key)) return;
        const data = { ...formatStatus(machine), ...(change && formatChange(change)) };
        const receivedAt = change?.at ?? machine.reportedAt ?? clock.now();
        hub.publish(key, { type: 'status', receivedAt, about: 'status', data });
      },
    }),
    /** What a flow has to say to a machine's followers. */
    broadcast(ids: MachineIds, type: string, data: unknown): void {
      const key = keyOf(ids);
      if (hub.followed(key)) hub.publish(key, { type, receivedAt: clock.now(), about: type, data });
    },
    /** A user lost a right, or all. @param now undefined once revoked */
    userChanged(userId: number, now: UserPrincipal | undefined): void {
      hub.revoke(
        (viewer, key) =>
          viewer?.userId === userId && (now === undefined || !maySee(now, idsOf(key).companyId)),
      );
    },
    close: () => hub.close(),
  };
}

export type MachineFeeds = ReturnType<typeof createMachineFeeds>;
