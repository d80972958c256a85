import type { NodeMessage } from 'node-red';
import type { ServerMessage } from '../../lib/roast/protocol.js';

type Send = (...outputs: (NodeMessage | null)[]) => void;

/** Which output each message to clients leaves by, for flows. */
const OUTPUT: Partial<Record<ServerMessage['type'], number>> = {
  temperature: 0,
  event: 1,
  state: 1,
  control_ack: 1,
  alarm: 2,
  error: 4,
  connection: 4,
};
const CONTROLS = 3;
const COUNT = 5;

/** The five outputs: readings, what happens, alarms, controls of machines on wires, errors and connections. */
export function roastOutputs(send: Send, wired: (output: number) => boolean) {
  const leave = (output: number, message: object) => {
    if (!wired(output)) return;
    const outputs = new Array<NodeMessage | null>(COUNT).fill(null);
    outputs[output] = message as NodeMessage;
    send(...outputs);
  };
  return {
    tell(machineId: string, message: ServerMessage): void {
      const output = OUTPUT[message.type];
      if (output === undefined) return;
      leave(output, {
        topic: `roasts/${machineId}/${message.type}`,
        machine_id: machineId,
        payload: message,
      });
    },
    control(machineId: string, channel: string, value: number): void {
      leave(CONTROLS, {
        topic: `roasts/${machineId}/controls/${channel}`,
        machine_id: machineId,
        channel,
        payload: value,
      });
    },
  };
}
