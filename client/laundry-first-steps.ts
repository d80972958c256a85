import { type BrokerAddress, COMMAND, type FirstStep } from './first-step.js';

const STORE = '6ba7b811-9dad-11d1-80b4-00c04fd430c8';
const CONTROLLER = '6ba7b810-9dad-11d1-80b4-00c04fd430c8';

/**
 * What to do while there is no shop: make a login, send the first state. The commands work as they stand, but for
 * the login that the first one prints.
 * @param now epoch milliseconds UTC
 */
export function firstSteps({ host, port }: BrokerAddress, now: number): FirstStep[] {
  const at = new Date(now).toISOString();
  const message = {
    version: '1.0.0',
    event_type: 'machine_state',
    timestamp: at,
    correlation_id: '550e8400-e29b-41d4-a716-446655440004',
    controller_id: CONTROLLER,
    store_id: STORE,
    payload: { machines: [{ machine_type: 'washer', relay_id: 1, status: 'busy', last_updated: at }] },
  };
  return [
    {
      title: 'Make a login for the shop’s controller',
      command: `${COMMAND} access add --role controller --store ${STORE} --controller ${CONTROLLER}`,
    },
    {
      title: 'Send a first state with it, from any MQTT client',
      command: `mosquitto_pub -h ${host} -p ${port} -u USERNAME -P PASSWORD -q 1 -t /stores/${STORE}/controllers/${CONTROLLER}/metrics -m '${JSON.stringify(message)}'`,
    },
  ];
}
