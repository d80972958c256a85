import { randomUUID } from 'node:crypto';

/** The messages that every candidate of a run receives: one changed machine each, over many controllers. */
export interface Load {
  storeId: string;
  controllers: string[];
}

export function makeLoad(controllers: number): Load {
  return { storeId: randomUUID(), controllers: Array.from({ length: controllers }, () => randomUUID()) };
}

const START = Date.parse('2026-01-01T00:00:00Z');
const CORRELATION_ID = '550e8400-e29b-41d4-a716-446655440004';

/** Message number `index`: round by round through the controllers, each message a change of state. */
export function message(load: Load, index: number): { topic: string; payload: string } {
  const controllerId = load.controllers[index % load.controllers.length] as string;
  const round = Math.floor(index / load.controllers.length);
  const at = new Date(START + index).toISOString();
  return {
    topic: `/stores/${load.storeId}/controllers/${controllerId}/metrics`,
    payload: JSON.stringify({
      version: '1.0.0',
      event_type: 'machine_state',
      timestamp: at,
      correlation_id: CORRELATION_ID,
      controller_id: controllerId,
      store_id: load.storeId,
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
