import { randomUUID } from 'node:crypto';
import type { Gateway } from './gateway.js';
import { isBad, type Subject } from './kill-test.js';

const RELAYS = 50;
const BAD_EVERY = 100;
const START = Date.parse('2026-03-01T00:00:00Z');

/** Counts the good numbers alone, so that each of them toggles its relay. */
const goodBefore = (number: number) => number - Math.floor(number / BAD_EVERY);

function numberedState(storeId: string, controllerId: string, number: number): string {
  const index = goodBefore(number);
  const at = new Date(START + number).toISOString();
  return JSON.stringify({
    version: '1.0.0',
    event_type: 'machine_state',
    timestamp: at,
    correlation_id: randomUUID(),
    controller_id: controllerId,
    store_id: storeId,
    payload: {
      machines: [
        {
          machine_type: 'washer',
          relay_id: index % RELAYS,
          status: isBad(number) ? `broken-${number}` : Math.floor(index / RELAYS) % 2 === 0 ? 'busy' : 'idle',
          last_updated: at,
        },
      ],
    },
  });
}

interface Refused {
  topic: string;
  payload_base64: string;
}

/** States of one controller, each a change of one of its relays. @param total of the messages, for their span of time */
export function numberedStates(
  gateway: Gateway,
  { storeId, controllerId }: { storeId: string; controllerId: string },
  total: number,
): Subject {
  async function refused(): Promise<Refused[]> {
    const letters = await gateway.list<Refused>('/dead-letters?protocol=laundry');
    return letters.filter(({ topic }) => topic.includes(storeId));
  }
  return {
    topic: `/stores/${storeId}/controllers/${controllerId}/metrics`,
    message: (number) => numberedState(storeId, controllerId, number),
    async count() {
      const [from, to] = [START, START + total].map((ms) => new Date(ms).toISOString());
      const { items } = await gateway.get<{ items: { changes: number }[] }>(
        `/stores/${storeId}/machines/statistics?from=${from}&to=${to}`,
      );
      return items.reduce((sum, { changes }) => sum + changes, 0) + (await refused()).length;
    },
    async numbers() {
      const changes = await gateway.list<{ last_updated: string }>(`/stores/${storeId}/machines/history`);
      return {
        rows: changes.map(({ last_updated }) => Date.parse(last_updated) - START),
        refused: (await refused()).map(({ payload_base64 }) => {
          const text = Buffer.from(payload_base64, 'base64').toString();
          return Number(/broken-(\d+)/.exec(text)?.[1]);
        }),
      };
    },
  };
}
