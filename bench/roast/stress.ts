import type { Sample } from '../../lib/roast/reading.js';
import { hashOf, type Random, randomFrom } from '../../test/support/random.js';

/** What makes a recording worse, the same way in every run. */
export interface Stress {
  readonly name: string;
  apply(samples: readonly Sample[], random: Random): Sample[];
}

const each = (samples: readonly Sample[], change: (celsius: number) => number | null): Sample[] =>
  samples.map(({ timeMs, bt, et }) => ({
    timeMs,
    bt: bt === null ? null : change(bt),
    et: et === null ? null : change(et),
  }));

/** The temperatures at other times, by straight lines. */
export function sampleAt(samples: readonly Sample[], times: readonly number[]): Sample[] {
  const curve = (probe: 'bt' | 'et') => {
    const points = samples.filter((sample) => sample[probe] !== null);
    let index = 0;
    return (timeMs: number): number | null => {
      while (index + 2 < points.length && (points[index + 1] as Sample).timeMs <= timeMs) index += 1;
      const from = points[index];
      const to = points[index + 1];
      if (from === undefined || to === undefined) return null;
      const share = (timeMs - from.timeMs) / (to.timeMs - from.timeMs);
      return (from[probe] as number) + share * ((to[probe] as number) - (from[probe] as number));
    };
  };
  const bt = curve('bt');
  const et = curve('et');
  return times.map((timeMs) => ({ timeMs, bt: bt(timeMs), et: et(timeMs) }));
}

function every(name: string, step: (random: Random) => number): Stress {
  return {
    name,
    apply(samples, random) {
      const first = samples[0];
      const last = samples.at(-1);
      if (first === undefined || last === undefined) return [];
      const times: number[] = [];
      for (let time = first.timeMs; time <= last.timeMs; time += Math.round(step(random))) times.push(time);
      return sampleAt(samples, times);
    },
  };
}

const noise = (name: string, deviation: number): Stress => ({
  name,
  apply: (samples, random) => each(samples, (celsius) => celsius + deviation * random.normal()),
});

const steps: Stress = { name: 'steps of 1 °C', apply: (samples) => each(samples, Math.round) };

export const spikes: Stress = {
  name: 'spikes, 0.5 %',
  apply: (samples, random) =>
    each(samples, (celsius) => {
      if (random.uniform() >= 0.005) return celsius;
      return celsius + (random.uniform() < 0.5 ? -1 : 1) * (20 + 130 * random.uniform());
    }),
};

const dropouts: Stress = {
  name: 'dropouts, 2 %',
  apply: (samples, random) => each(samples, (celsius) => (random.uniform() < 0.02 ? null : celsius)),
};

const jitter: Stress = {
  name: 'jitter of a quarter',
  apply(samples, random) {
    const times = samples.map(({ timeMs }, index) => {
      const after = samples[index + 1]?.timeMs ?? timeMs;
      return Math.round(timeMs + 0.5 * (random.uniform() - 0.5) * Math.max(0, after - timeMs));
    });
    return sampleAt(samples, times);
  },
};

const both = (name: string, ...parts: Stress[]): Stress => ({
  name,
  apply: (samples, random) => parts.reduce<Sample[]>((now, part) => part.apply(now, random), [...samples]),
});

export const NATIVE: Stress = { name: 'native', apply: (samples) => [...samples] };

export const STRESSES: readonly Stress[] = [
  NATIVE,
  every('every 0.5 s', () => 500),
  every('every 1 s', () => 1000),
  every('every 2 s', () => 2000),
  every('every 3 s', () => 3000),
  every('about 5 s, irregular', (random) => 2500 + 5000 * random.uniform()),
  jitter,
  dropouts,
  spikes,
  noise('noise of 0.3 °C', 0.3),
  noise('noise of 0.5 °C', 0.5),
  steps,
  both('noise of 0.5 °C, steps', noise('', 0.5), steps),
  both('noise 0.3, dropouts, spikes, steps', noise('', 0.3), dropouts, spikes, steps),
];

export function stressed(stress: Stress, name: string, samples: readonly Sample[]): Sample[] {
  return stress.apply(samples, randomFrom(hashOf(`${stress.name} ${name}`)));
}
