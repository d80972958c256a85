import type { NodeMessage } from 'node-red';
import type { SolarListener } from '../../lib/solar/backend-ports.js';
import type { MachineIds } from '../../lib/solar/ports.js';
import { formatChange, formatStatus, formatTelemetry } from '../../lib/solar/rest-format.js';

const topicOf = ({ companyId, machineId }: MachineIds, about: string) =>
  `companies/${companyId}/machines/${machineId}/${about}`;

/**
 * The three outputs: committed telemetry, changes of status, refused messages. Names and units are those of the REST
 * answers; a refused message has the bytes as they came.
 */
export function outputs(
  send: (...outputs: (NodeMessage | null)[]) => void,
  wired: (output: number) => boolean,
): SolarListener {
  return {
    telemetry(machine, row) {
      if (!wired(0)) return;
      const { companyId, machineId } = machine;
      const payload = { company_id: companyId, machine_id: machineId, ...formatTelemetry(row) };
      send({ topic: topicOf(machine, 'telemetry'), payload } as NodeMessage);
    },
    status(machine, change) {
      if (change === undefined || !wired(1)) return;
      const payload = { ...formatStatus(machine), ...formatChange(change) };
      send(null, { topic: topicOf(machine, 'status'), payload } as NodeMessage);
    },
    refused({ topic, payload, code, message, pointer }) {
      send(null, null, { topic, payload, error: { code, message, pointer } } as unknown as NodeMessage);
    },
  };
}
