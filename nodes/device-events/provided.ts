import type { DeviceBackend, DeviceListener } from '../../lib/command/events-backend.js';
import type { Alert, DeviceQueries } from '../../lib/command/ports.js';

/** What a device-events node offers to nodes that name it. What is asked before its store is open waits for it. */
export interface ProvidedDevices {
  queries: DeviceQueries;
  /** @throws FieldloomError not_found, invalid_input */
  acknowledge(alertId: string, by: string): Promise<Alert>;
  /** Calls back from now on; the answer removes the listener. */
  listen(listener: DeviceListener): () => void;
}

type Opened = { backend: DeviceBackend; queries: DeviceQueries };

export function provideDevices(ready: Promise<Opened>): ProvidedDevices {
  const queries = async () => (await ready).queries;
  return {
    queries: {
      device: async (device) => (await queries()).device(device),
      readings: async (device, position, page) => (await queries()).readings(device, position, page),
      latest: async (device, position) => (await queries()).latest(device, position),
      alerts: async (device, position, page) => (await queries()).alerts(device, position, page),
      alert: async (alertId) => (await queries()).alert(alertId),
    },
    acknowledge: async (alertId, by) => (await ready).backend.acknowledge(alertId, by),
    listen(listener) {
      let removed = false;
      let remove = () => {};
      ready.then(
        ({ backend }) => {
          if (!removed) remove = backend.listen(listener);
        },
        () => {}, // the node itself reports it
      );
      return () => {
        removed = true;
        remove();
      };
    },
  };
}
