import type { DriverReading, RoastDriver } from './driver.js';
import type { EventType } from './event.js';
import { advanceRoaster, type RoasterControls, warmRoaster } from './thermal-model.js';

export interface SimulatorSettings {
  /** Standard deviation of a reading, °C. */
  readonly noiseC: number;
  /** Share of readings that are missing, 0 to 1. */
  readonly dropoutShare: number;
  /** Weight of a batch, g. */
  readonly greenG: number;
  /** How many times as fast as the clock it heats and roasts. */
  readonly speed: number;
}

export const SIMULATOR_DEFAULTS: SimulatorSettings = {
  noiseC: 0.1,
  dropoutShare: 0,
  greenG: 1000,
  speed: 1,
};

/** What its controls are when it starts. */
const AT_START: RoasterControls = { burner: 0.45, airflow: 0.4, charge: 0, drop: 0 };
/** A time that nobody asked for is not made up for: a model that stood still goes on where it was. */
const LONGEST_STEP_S = 60;

/**
 * A roaster that is not there (roast.md "Drivers"). Beside burner and airflow it has two that a person's hands have at a
 * real one: `charge` opens the hopper, `drop` the door. It hears its beans crack.
 * @param steadyNow ms
 * @param random 0 to 1, of the noise
 */
export function createSimulatorDriver(
  steadyNow: () => number,
  given: Partial<SimulatorSettings> = {},
  random: () => number = Math.random,
): RoastDriver {
  const settings = { ...SIMULATOR_DEFAULTS, ...given };
  let roaster = warmRoaster();
  let controls = AT_START;
  let atMs = steadyNow();
  let heard = false;

  function advance(): void {
    const now = steadyNow();
    roaster = advanceRoaster(
      roaster,
      controls,
      Math.min(((now - atMs) / 1000) * settings.speed, LONGEST_STEP_S),
      settings.greenG,
    );
    atMs = now;
  }

  function seen(celsius: number): number | null {
    if (random() < settings.dropoutShare) return null;
    return celsius + settings.noiseC * (random() + random() + random() - 1.5) * 2;
  }

  return {
    name: 'Simulator',
    pace: 'asked',
    async connect() {
      atMs = steadyNow();
    },
    async disconnect() {},
    async read(): Promise<DriverReading> {
      advance();
      const cracked = roaster.beans?.cracked ?? false;
      const events: EventType[] = cracked && !heard ? ['FCs'] : [];
      heard = cracked;
      return { takenMs: atMs, bt: seen(roaster.btProbe), et: seen(roaster.etProbe), extra: {}, events };
    },
    async write(channel, value) {
      advance();
      controls = { ...controls, [channel]: value };
      return value;
    },
    channels: () => Object.keys(AT_START),
    values: () => ({ ...controls }),
  };
}
