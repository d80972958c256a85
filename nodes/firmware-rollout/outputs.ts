import type { NodeMessage } from 'node-red';
import { formatDeployment, formatRollout } from '../../lib/firmware/rest-format.js';
import type { RolloutsListener } from '../../lib/firmware/rollouts.js';

type Send = (...outputs: (NodeMessage | null)[]) => void;

/** Messages of one output. */
const at = (output: number, message: object): (NodeMessage | null)[] => [
  ...Array<null>(output).fill(null),
  message as NodeMessage,
];

/**
 * The first four outputs: what the gate is asked, what deployments did, what rollouts did, alerts and refused
 * messages. Names and units are those of the REST answers.
 */
export function outputs(send: Send, wired: (output: number) => boolean): RolloutsListener {
  return {
    gate(stored, stage) {
      const { id, name, firmware_version, counts, stages } = formatRollout(stored);
      const payload = { rollout_id: id, name, stage, firmware_version, counts, stages };
      const gate = { rollout_id: id, stage };
      send(...at(0, { topic: `firmware/rollouts/${id}/gate`, payload, gate }));
    },
    deployment({ deployment, previous, effects }) {
      if (!wired(1)) return;
      const payload = {
        event: effects.note,
        previous_state: previous.state,
        detail: effects.detail ?? null,
        ...formatDeployment(deployment),
      };
      send(...at(1, { topic: `firmware/deployments/${deployment.id}`, payload }));
    },
    rollout({ entry, previous, event, effects }) {
      // Counts alone come thousands of times a minute.
      if (!wired(2) || !effects.changed) return;
      const payload = { event, previous_state: previous.state, ...formatRollout(entry) };
      send(...at(2, { topic: `firmware/rollouts/${entry.plan.id}`, payload }));
    },
    alert({ deployment, effects: { alert } }) {
      const payload = { ...alert, deployment: formatDeployment(deployment) };
      send(...at(3, { topic: `firmware/deployments/${deployment.id}/alert`, payload }));
    },
    refused({ topic, payload, code, message, pointer }) {
      send(...at(3, { topic, payload, error: { code, message, pointer } }));
    },
  };
}
