import { type BrokerAddress, COMMAND, type FirstStep } from './first-step.js';

const DEVICE = '24:6F:28:AA:BB:01';

/** What to do where nobody has a login. */
export const LOGIN_STEP: FirstStep = {
  title: 'Make a user',
  command: `printf %s PASSWORD | ${COMMAND} user add NAME --password-stdin`,
};

/**
 * What to do while a user has no pond: make one, let its device in, send a first measurement. The commands work as
 * they stand, but for the login that the second one prints.
 */
export function pondFirstSteps(username: string, { host, port }: BrokerAddress): FirstStep[] {
  const values = { pond_position: 1, temperature: 26.4, dissolved_oxygen: 6.8, ph: 7.6 };
  return [
    {
      title: 'Make the pond: the first one of its device',
      command: `${COMMAND} pond add --owner ${username} --device ${DEVICE} --position 1 --name "North pond"`,
    },
    {
      title: 'Make a login for the device',
      command: `${COMMAND} access add --role device --device ${DEVICE}`,
    },
    {
      title: 'Send a first measurement with it, from any MQTT client',
      command: `mosquitto_pub -h ${host} -p ${port} -u USERNAME -P PASSWORD -q 1 -t devices/${DEVICE}/data/sensors -m '${JSON.stringify(values)}'`,
    },
  ];
}
