import type { RoastMachine } from '../../lib/roast/machine.js';

const HOUR_MS = 3_600_000;
const STEP_MS = 15_000;

/** Roasting machines at a glance. @param machines those that may be seen */
export function roastPart(machines: readonly RoastMachine[], now: number) {
  const roasting = machines
    .filter(({ phase, recording }) => phase === 'recording' && recording !== undefined)
    .sort((a, b) => (b.recording?.startedAt ?? 0) - (a.recording?.startedAt ?? 0));
  const [newest] = roasting;
  return {
    machines: machines.map((machine) => {
      const { state, message } = machine.driverState;
      return {
        id: machine.definition.id,
        name: machine.definition.name,
        state: machine.phase,
        driver_state: state,
        driver_message: message,
        alarms: machine.standingAlarms.map(({ id, message: text, severity }) => ({
          id,
          message: text,
          severity,
        })),
      };
    }),
    bean_temperature: newest === undefined ? null : beanTemperature(newest, now),
  };
}

/** BT of the machine that began to roast last, °C, each 15 s; null where nothing was read. */
function beanTemperature({ definition, recording, timeMs }: RoastMachine, now: number) {
  const points = recording?.points ?? [];
  const from = Math.max(0, timeMs - HOUR_MS);
  const values: (number | null)[] = [];
  for (const { timeMs: at, bt } of points) {
    const place = Math.floor((at - from) / STEP_MS);
    if (place < 0) continue;
    while (values.length <= place) values.push(null);
    values[place] = bt ?? values[place] ?? null;
  }
  return {
    machine_id: definition.id,
    name: definition.name,
    from: new Date(now - timeMs + from).toISOString(),
    step_s: STEP_MS / 1000,
    values,
  };
}
