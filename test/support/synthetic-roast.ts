import type { Sample } from '../../lib/roast/reading.js';
import { approach, probeFeels, ROOM_C } from '../../lib/roast/thermal-model.js';
import type { Random } from './random.js';

/** A roast that never was, whose breaks are known because they were put there. */
export interface SyntheticRoast {
  readonly description: string;
  readonly samples: readonly Sample[];
  readonly chargeMs: number;
  /** When the probe itself is at its lowest; null where that is within 20 s of CHARGE. */
  readonly turningMs: number | null;
  readonly dropMs: number;
}

/** What is unlike between roasters, probes and people. */
export interface RoastPlan {
  /** Air and drum when the beans go in, °C; and how it moves before, °C/min. */
  readonly chargeC: number;
  readonly preheatRate: number;
  /** Swing of a regulated preheat: °C to either side, and its period, s. */
  readonly wobbleC: number;
  readonly wobbleS: number;
  /** First-order lag of the probe, s. */
  readonly probeS: number;
  /** Share of the probe that is among the beans. */
  readonly amongBeans: number;
  /** How fast beans take on heat: e-folding time, s. */
  readonly beansS: number;
  readonly preheatS: number;
  readonly roastS: number;
  /** The heat is cut in the middle of the roast for so long, s; and how deep the air falls, °C. */
  readonly cutS: number;
  readonly cutC: number;
  /** Time between samples, s; `irregular`: each by itself between half and one and a half of it. */
  readonly sampleS: number;
  readonly irregular: boolean;
  readonly noiseC: number;
  /** Resolution of the reading, °C. */
  readonly stepC: number;
}

/** A plan within what roasters and probes are like. */
export function randomPlan(random: Random): RoastPlan {
  const between = (least: number, most: number) => least + (most - least) * random.uniform();
  const oneOf = <T>(values: readonly T[]): T => values[Math.floor(random.uniform() * values.length)] as T;
  return {
    chargeC: between(130, 225),
    preheatRate: between(-3, 12),
    wobbleC: oneOf([0, 0, 1, 2, 3]),
    wobbleS: between(80, 240),
    probeS: between(1, 15),
    amongBeans: between(0.65, 0.95),
    beansS: between(140, 260),
    preheatS: between(20, 400),
    roastS: between(400, 840),
    cutS: oneOf([0, 0, 30, 60]),
    cutC: between(10, 40),
    sampleS: oneOf([0.5, 1, 1.5, 2, 3]),
    irregular: oneOf([false, false, true]),
    noiseC: oneOf([0, 0.1, 0.3, 0.5]),
    stepC: oneOf([0.01, 0.1, 0.5, 1]),
  };
}

const INTEGRATION_S = 0.1;
const AFTER_S = 90;

/** Air, beans and probe, each following the one before. */
export function synthesize(plan: RoastPlan, random: Random): SyntheticRoast {
  const charge = plan.preheatS;
  const drop = charge + plan.roastS;
  // The air at which beans of this kind come to 205 °C in this time.
  const finish = 205 + (205 - ROOM_C) / (Math.exp(plan.roastS / plan.beansS) - 1);
  let air = plan.chargeC;
  let beans = ROOM_C;
  let probe = plan.chargeC - (plan.preheatRate * charge) / 60;
  const samples: Sample[] = [];
  let turning = { time: charge, celsius: Infinity };
  let next = 0.3;
  for (let time = 0; time < drop + AFTER_S; time += INTEGRATION_S) {
    const cutting = time > charge + plan.roastS * 0.6 && time < charge + plan.roastS * 0.6 + plan.cutS;
    let feels: number;
    if (time < charge) {
      const wobble = plan.wobbleC * Math.sin((2 * Math.PI * (time - charge)) / plan.wobbleS);
      air = plan.chargeC + (plan.preheatRate * (time - charge)) / 60 + wobble;
      feels = air;
    } else if (time < drop) {
      const aim = cutting ? finish - plan.cutC : finish;
      air = approach(air, aim, 40, INTEGRATION_S);
      beans = approach(beans, air, plan.beansS, INTEGRATION_S);
      feels = probeFeels(beans, air, plan.amongBeans);
    } else {
      // The door is open and the probe hangs in the air of an emptied drum.
      air = approach(air, 100, 60, INTEGRATION_S);
      feels = Math.min(air, 150);
    }
    probe = approach(probe, feels, plan.probeS, INTEGRATION_S);
    if (time >= charge && time < drop && probe <= turning.celsius) turning = { time, celsius: probe };
    if (time < next) continue;
    const seen = (celsius: number) =>
      Math.round((celsius + plan.noiseC * random.normal()) / plan.stepC) * plan.stepC;
    samples.push({ timeMs: Math.round(time * 1000), bt: seen(probe), et: seen(air) });
    next = time + plan.sampleS * (plan.irregular ? 0.5 + random.uniform() : 1);
  }
  return {
    description: JSON.stringify(plan),
    samples,
    chargeMs: Math.round(charge * 1000),
    turningMs: turning.time - charge > 20 ? Math.round(turning.time * 1000) : null,
    dropMs: Math.round(drop * 1000),
  };
}
