import type { NodeMessage } from 'node-red';
import type { BackendListener } from '../../lib/laundry/backend.js';
import { formatChange, formatController } from '../../lib/laundry/rest-format.js';

const instant = (ms: number) => new Date(ms).toISOString();

/**
 * The four outputs: changes, accepted snapshots, controllers that came or went, refused messages. Changes and
 * controllers have the names and units of the REST answers; a refused message has the bytes as they came.
 */
export function outputs(
  send: (...outputs: (NodeMessage | null)[]) => void,
  wired: (output: number) => boolean,
): BackendListener {
  return {
    change(change) {
      if (!wired(0)) return;
      const payload = { store_id: change.storeId, ...formatChange(change) };
      send({ topic: `stores/${change.storeId}/changes`, payload } as NodeMessage);
    },
    snapshot({ message, receivedAt }) {
      if (!wired(1)) return;
      const payload = {
        store_id: message.storeId,
        controller_id: message.controllerId,
        correlation_id: message.correlationId,
        timestamp: instant(message.timestamp),
        received_at: instant(receivedAt),
        machines: message.machines.map((machine) => ({
          machine_type: machine.machineType,
          relay_id: machine.relayId,
          status: machine.status,
          last_updated: instant(machine.lastUpdated),
        })),
      };
      const out = { topic: `stores/${message.storeId}/snapshots`, payload, original: message.original };
      send(null, out as NodeMessage);
    },
    liveness(state) {
      const payload = { store_id: state.storeId, ...formatController(state) };
      send(null, null, { topic: `stores/${state.storeId}/controllers`, payload } as NodeMessage);
    },
    refused({ topic, payload, code, message, pointer }) {
      send(null, null, null, { topic, payload, error: { code, message, pointer } } as unknown as NodeMessage);
    },
  };
}
