import { randomUUID } from 'node:crypto';

export type Protocol = 'telemetry' | 'laundry';

/** The messages that every candidate of a run receives, over many machines or controllers. */
export interface Load {
  protocol: Protocol;
  /** A laundry's store, or a company. */
  group: string;
  /** Controllers, or machines. */
  members: string[];
}

export function makeLoad(protocol: Protocol, members: number): Load {
  return {
    protocol,
    group: protocol === 'laundry' ? randomUUID() : '1',
    members: Array.from({ length: members }, (_, index) =>
      protocol === 'laundry' ? randomUUID() : `machine-${index}`,
    ),
  };
}

const START = Date.parse('2026-01-01T00:00:00Z');
const CORRELATION_ID = '550e8400-e29b-41d4-a716-446655440004';

/** Message number `index`: round by round through the members. */
export function message(load: Load, index: number): { topic: string; payload: string } {
  const member = load.members[index % load.members.length] as string;
  return load.protocol === 'laundry' ? machineState(load, member, index) : telemetry(load, member, index);
}

/** The document's telemetry, its values moving as those of sensors do, and with as few decimals. */
function telemetry({ group }: Load, machine: string, index: number) {
  return {
    topic: `company/${group}/machine/${machine}/telemetry`,
    payload: JSON.stringify({
      battery: (1_200 + (index % 199)) / 100,
      solar_v: (2_000 + (index % 211)) / 100,
      solar_a: (index % 1013) / 200,
      water: index % 101,
      extra: { temp: (3_000 + (index % 991)) / 100, vibration: (index % 983) / 1000 },
    }),
  };
}

/** Each a change of state of one machine. */
function machineState({ group, members }: Load, controllerId: string, index: number) {
  const round = Math.floor(index / members.length);
  const at = new Date(START + index).toISOString();
  return {
    topic: `/stores/${group}/controllers/${controllerId}/metrics`,
    payload: JSON.stringify({
      version: '1.0.0',
      event_type: 'machine_state',
      timestamp: at,
      correlation_id: CORRELATION_ID,
      controller_id: controllerId,
      store_id: group,
      payload: {
        machines: [
          {
            machine_type: 'washer',
            relay_id: 1,
            status: round % 2 === 0 ? 'busy' : 'idle',
            last_updated: at,
          },
        ],
      },
    }),
  };
}
