import { mayRead } from '../../lib/access/policy.js';
import type { UserPrincipal } from '../../lib/access/principal.js';
import type { Clock } from '../../lib/core/clock.js';
import { asError } from '../../lib/core/errors.js';
import type { Log } from '../../lib/core/log.js';
import { isTopicLevel } from '../../lib/core/topic.js';
import type { SolarListener } from '../../lib/solar/backend-ports.js';
import type { MachineIds } from '../../lib/solar/ports.js';
import { formatChange, formatStatus, formatTelemetry } from '../../lib/solar/rest-format.js';
import { CLOSE, createLiveHub } from '../../lib/web/live-hub.js';
import type { UpgradeRequest } from '../runtime/upgrade.js';
import type { ProvidedTelemetry } from '../telemetry-store/provided.js';
import type { FeedSocket, Viewer } from './feeds.js';

export interface CompanyFeedsOptions {
  /** @throws FieldloomError store_unavailable while there is no telemetry-store node */
  telemetry(): ProvidedTelemetry;
  clock: Clock;
  log: Log;
}

/** A snapshot of 10,000 machines is about 5 MB: a client that has it on its way is not one that does not keep up. */
const HARD_LIMIT_BYTES = 32 * 1024 * 1024;

/**
 * The live feeds of companies: first all machines of one with their last telemetry, then what each of them says, with
 * its `machine_id`. One connection is enough for who watches a whole fleet.
 */
export function createCompanyFeeds({ telemetry, clock, log }: CompanyFeedsOptions) {
  const hub = createLiveHub<Viewer>({
    clock,
    hardLimitBytes: HARD_LIMIT_BYTES,
    async snapshot(companyId) {
      const machines = await telemetry().company(companyId);
      return {
        machines: machines.map(({ machine, latest }) => ({
          ...formatStatus(machine),
          telemetry: latest === undefined ? null : formatTelemetry(latest),
        })),
      };
    },
    identity: (companyId) => ({ company_id: companyId }),
    onError: (error) => log.warn(`live feed: ${asError(error).message}`),
  });

  const maySee = (viewer: Viewer, company: string) =>
    viewer === undefined || mayRead(viewer, { kind: 'company', company });

  function publish({ companyId, machineId }: MachineIds, type: string, receivedAt: number, data: unknown) {
    const about = `${type}/${machineId}`;
    hub.publish(companyId, { type, receivedAt, about, data, identity: { machine_id: machineId } });
  }

  const tellTelemetry: NonNullable<SolarListener['telemetry']> = (machine, row) => {
    // A client that comes gets a snapshot first.
    if (hub.clients === 0 || !hub.followed(machine.companyId)) return;
    publish(machine, 'telemetry', row.receivedAt, formatTelemetry(row));
  };

  return {
    hub,
    /** A company without a machine is followed too: its first one comes. */
    follow(socket: FeedSocket, { parameters, principal }: UpgradeRequest): void {
      const companyId = parameters['company_id'] ?? '';
      if (!maySee(principal, companyId)) socket.close(CLOSE.forbidden, 'not one of your companies');
      else if (!isTopicLevel(companyId)) socket.close(CLOSE.unknown, 'unknown');
      else {
        const client = hub.join(companyId, socket, principal);
        socket.on('pong', client.alive);
        socket.on('close', client.left);
      }
    },
    /** Hears of machines. @param fast telemetry is told at arrival, before it is committed */
    listener: (fast: boolean): SolarListener => ({
      ...(fast ? { arrived: tellTelemetry } : { telemetry: tellTelemetry }),
      status(machine, change) {
        if (!hub.followed(machine.companyId)) return;
        const data = { ...formatStatus(machine), ...(change && formatChange(change)) };
        publish(machine, 'status', change?.at ?? machine.reportedAt ?? clock.now(), data);
      },
    }),
    /** What a flow has to say to a machine's followers. */
    broadcast(ids: MachineIds, type: string, data: unknown): void {
      if (hub.followed(ids.companyId)) publish(ids, type, clock.now(), data);
    },
    /** A user lost a right, or all. @param now undefined once revoked */
    userChanged(userId: number, now: UserPrincipal | undefined): void {
      hub.revoke(
        (viewer, companyId) => viewer?.userId === userId && (now === undefined || !maySee(now, companyId)),
      );
    },
    close: () => hub.close(),
  };
}
