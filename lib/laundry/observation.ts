import machineSchema from '../../schemas/laundry/machine.schema.json';
import { FieldloomError } from '../core/errors.js';
import { compileSchema } from '../core/schema.js';
import type { Observation } from './reporter.js';
import type { Machine } from './wire.js';

const { last_updated: _, ...observed } = machineSchema.properties;
const validate = compileSchema<Pick<Machine, 'relay_id' | 'status' | 'machine_type'>>({
  type: 'object',
  required: ['relay_id', 'status'],
  properties: observed,
});

/**
 * What a flow tells a reporter: `{relay_id, status, machine_type?}`, or a list of them.
 * @throws FieldloomError invalid_input, which names the field and what is accepted; then none of them counts
 */
export function parseObservations(payload: unknown): Observation[] {
  const list = Array.isArray(payload) ? payload : [payload];
  return list.map((value, index) => {
    const result = validate(value);
    if (result.valid) {
      const { relay_id: relayId, status, machine_type: machineType = null } = result.value;
      return { relayId, status, machineType };
    }
    const at = Array.isArray(payload) ? `msg.payload[${index}]` : 'msg.payload';
    throw new FieldloomError(
      'invalid_input',
      `${at}: ${result.message}; accepted is {relay_id, status, machine_type?}`,
      {
        pointer: `${Array.isArray(payload) ? `/${index}` : ''}${result.pointer}`,
      },
    );
  });
}
