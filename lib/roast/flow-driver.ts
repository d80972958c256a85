import type { DriverReading, RoastDriver } from './driver.js';

/** Readings that wait to be taken; more come only where nobody takes them. */
const LONGEST_QUEUE = 100;

export const FLOW_CONTROLS: readonly string[] = ['burner', 'airflow', 'fan'];

/** Temperatures come from any wires, controls leave by wires (roast.md "Drivers"). */
export interface FlowDriver extends RoastDriver {
  /** A reading came by a wire. */
  take(reading: DriverReading): void;
}

/** @param send a control leaves by a wire */
export function createFlowDriver(
  send: (channel: string, value: number) => void,
  controls: readonly string[] = FLOW_CONTROLS,
): FlowDriver {
  let queue: DriverReading[] = [];
  let asking: ((reading: DriverReading) => void) | undefined;
  return {
    name: 'Flow',
    pace: 'itself',
    async connect() {
      queue = [];
    },
    async disconnect() {
      queue = [];
      asking = undefined;
    },
    read() {
      const next = queue.shift();
      if (next !== undefined) return Promise.resolve(next);
      return new Promise((resolve) => {
        asking = resolve;
      });
    },
    async write(channel, value) {
      send(channel, value);
      return value;
    },
    channels: () => controls,
    take(reading) {
      const answer = asking;
      asking = undefined;
      if (answer !== undefined) return answer(reading);
      queue.push(reading);
      if (queue.length > LONGEST_QUEUE) queue.shift();
    },
  };
}
