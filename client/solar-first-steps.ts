import { type BrokerAddress, COMMAND, type FirstStep } from './first-step.js';

const COMPANY = 'mycompany';
const MACHINE = 'M-1';

/**
 * What to do while there is no machine: make a login, send the first telemetry, say the status. The commands work as
 * they stand, but for the login that the first one prints.
 */
export function solarFirstSteps({ host, port }: BrokerAddress): FirstStep[] {
  const publish = (kind: string, payload: object) =>
    `mosquitto_pub -h ${host} -p ${port} -u USERNAME -P PASSWORD -q 1 -t company/${COMPANY}/machine/${MACHINE}/${kind} -m '${JSON.stringify(payload)}'`;
  const telemetry = {
    battery: 13.5,
    solar_v: 21.2,
    solar_a: 4.5,
    water: 80,
    extra: { temp: 32.5, vibration: 0.01 },
  };
  return [
    {
      title: 'Make a login for the machine',
      command: `${COMMAND} access add --role machine --company ${COMPANY} --machine ${MACHINE}`,
    },
    {
      title: 'Send a first telemetry with it, from any MQTT client',
      command: publish('telemetry', telemetry),
    },
    {
      title: 'Say what it does',
      command: publish('status', { status: 'Running', energy: 150.5, water: 25, area: 450 }),
    },
  ];
}
