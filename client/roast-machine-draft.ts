import type { MachineConfig, MachineWire } from './roast-wire.js';

/** How a machine is reached, as a person chooses it. */
export const DRIVERS = [
  {
    driver: 'simulator',
    label: 'Simulated roaster',
    hint: 'A roaster that is not there: burner, air, hopper and door as at a real one.',
  },
  {
    driver: 'flow',
    label: 'Wires of a flow',
    hint: 'Any node of the editor that reads the probes: serial, MQTT and others. Wire it to the node roast-session.',
  },
  {
    driver: 'modbus',
    label: 'Modbus',
    hint: 'Registers of a controller, over TCP or a serial line. Each channel has an address, which counts from 0.',
  },
] as const;

/** A machine as it stands in the form; texts are what is in the fields. */
export interface MachineDraft {
  name: string;
  driver: MachineWire['driver'];
  /** Seconds. */
  interval: string;
  /** Of the simulator: times as fast as the clock. */
  speed: string;
  unit: 'C' | 'F';
  /** Of Modbus: its line and registers, as JSON. */
  modbus: string;
  /** What the form does not show stays as it was. */
  rest: MachineConfig;
}

/** What most need to change, and nothing else. */
const MODBUS_EXAMPLE = {
  transport: 'tcp',
  host: '192.168.1.50',
  channels: [
    { channel: 'bt', function_code: 4, address: 0, scale: 0.1 },
    { channel: 'et', function_code: 4, address: 1, scale: 0.1 },
  ],
  controls: [{ channel: 'burner', address: 20, minimum: 0, maximum: 100 }],
};
const asText = (value: unknown) => JSON.stringify(value, null, 1);

export const newMachine = (): MachineDraft => ({
  name: '',
  driver: 'simulator',
  interval: '1',
  speed: '1',
  unit: 'C',
  modbus: asText(MODBUS_EXAMPLE),
  rest: {},
});

export const draftOfMachine = ({
  name,
  driver,
  sampling_interval_ms,
  config,
}: MachineWire): MachineDraft => ({
  name,
  driver,
  interval: String(sampling_interval_ms / 1000),
  speed: String(config.speed ?? 1),
  unit: config.unit ?? 'C',
  modbus: asText(config.modbus ?? MODBUS_EXAMPLE),
  rest: config,
});

/** Why a draft is no machine yet; empty where it is one. */
export function machineProblem({ name, driver, interval, speed, modbus }: MachineDraft): string {
  if (name.trim() === '') return 'A name is wanted.';
  const seconds = Number(interval.replace(',', '.'));
  if (!(seconds >= 0.1 && seconds <= 60)) return 'Readings come every 0.1 to 60 seconds.';
  const times = Number(speed.replace(',', '.'));
  if (driver === 'simulator' && !(times >= 1 && times <= 60))
    return 'A simulated roaster is 1 to 60 times as fast.';
  if (driver === 'modbus' && parsed(modbus) === undefined) return 'Its registers are no JSON.';
  return '';
}

/** The body of `POST /api/machines` and `PUT /api/machines/{id}`. @param draft without a problem */
export function machineBody(draft: MachineDraft) {
  const { speed: _speed, unit: _unit, modbus: _modbus, ...rest } = draft.rest;
  const speed = Number(draft.speed.replace(',', '.'));
  return {
    name: draft.name.trim(),
    driver: draft.driver,
    sampling_interval_ms: Math.round(Number(draft.interval.replace(',', '.')) * 1000),
    config: {
      ...rest,
      ...(draft.driver === 'simulator' && speed !== 1 && { speed }),
      ...(draft.driver === 'flow' && draft.unit === 'F' && { unit: draft.unit }),
      ...(draft.driver === 'modbus' && { modbus: parsed(draft.modbus) }),
    },
  };
}

/** The gateway says what is wrong in it, by name. */
function parsed(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
