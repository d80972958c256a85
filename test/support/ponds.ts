import type {
  AlertWire,
  CommandStatus,
  ExecutionWire,
  PondWire,
  ReadingWire,
  TransitionWire,
} from '../../client/pond-wire.js';

const iso = (at: number) => new Date(at).toISOString();

/** A pond as the gateway tells of it. @param at when its values were measured, epoch ms */
export function pondWire(at: number, part: Partial<PondWire> = {}): PondWire {
  return {
    pond_id: 1,
    name: 'North pond',
    device_id: 'AA:BB:CC:DD:EE:FF',
    position: 1,
    feed_limit_g: 2000,
    thresholds: { dissolved_oxygen: { min: 5, max: 12 }, temperature: { max: 30 } },
    device: { online: true, last_seen: iso(at), firmware_version: '1.4.2' },
    readings: {
      temperature: { value: 26.44, at: iso(at) },
      dissolved_oxygen: { value: 6.8, at: iso(at) },
      salinity: { value: 0.5, at: iso(at) },
    },
    alerts: [],
    ...part,
  };
}

/** A step of a command: status, event, ms after its beginning, attempt. */
type Step = [status: CommandStatus, event: string, after: number, attempt: number];

export interface ExecutionPart extends Partial<Omit<ExecutionWire, 'command'>> {
  steps?: Step[];
  reason?: string;
  message?: string;
  late?: boolean;
}

/** An execution that has come as far as its last step. @param at when it was asked for, epoch ms */
export function executionWire(at: number, part: ExecutionPart = {}): ExecutionWire {
  const { steps = [['PENDING', 'created', 0, 0]], reason, message, late, ...own } = part;
  const history: TransitionWire[] = steps.map(([status, event, after, attempt]) => ({
    status,
    event,
    at: iso(at + after),
    attempt,
  }));
  const last = history.at(-1);
  const status = last?.status ?? 'PENDING';
  const ended = ['COMPLETED', 'FAILED', 'EXPIRED', 'CANCELLED'].includes(status);
  return {
    execution_id: 1,
    pond_id: 1,
    action: 'FEED',
    status: status === 'COMPLETED' ? 'COMPLETED' : ended ? 'FAILED' : 'EXECUTING',
    parameters: { feed_amount: 100 },
    created_at: iso(at),
    completed_at: ended ? (last?.at ?? null) : null,
    ...own,
    command: {
      command_id: 'c-1',
      status,
      attempts: Math.max(...steps.map(([, , , attempt]) => attempt)),
      history,
      ...(reason !== undefined && { reason }),
      ...(message !== undefined && { message }),
      ...(late !== undefined && { late }),
    },
  };
}

/** The way of a command that does what it should. */
export const DONE: Step[] = [
  ['PENDING', 'created', 0, 0],
  ['SENT', 'published', 50, 1],
  ['ACKNOWLEDGED', 'acknowledged', 1850, 1],
  ['COMPLETED', 'acknowledged', 1850, 1],
];

export function readingWire(
  at: number,
  values: Record<string, number>,
  part: Partial<ReadingWire> = {},
): ReadingWire {
  return { received_at: iso(at), at: iso(at), pond_position: 1, values, ...part };
}

export function alertWire(at: number, part: Partial<AlertWire> = {}): AlertWire {
  return {
    alert_id: 'a-1',
    parameter: 'dissolved_oxygen',
    value: 3.9,
    limit: 5,
    severity: 'critical',
    message: 'Oxygen is low',
    raised_at: iso(at),
    acknowledged_at: null,
    acknowledged_by: null,
    cleared_at: null,
    ...part,
  };
}
