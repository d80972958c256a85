/** One step of what follows something else with a first-order lag. @param lagS e-folding time, s */
export function approach(value: number, aim: number, lagS: number, stepS: number): number {
  return value + ((aim - value) / lagS) * stepS;
}

/** What a bean probe feels. @param amongBeans its share that is among the beans */
export function probeFeels(beans: number, air: number, amongBeans: number): number {
  return amongBeans * beans + (1 - amongBeans) * air;
}

/** A drum roaster: burner, drum, air, beans and two probes. Temperatures °C. */
export interface RoasterModel {
  readonly drum: number;
  readonly air: number;
  readonly btProbe: number;
  readonly etProbe: number;
  /** Null while there are none in the drum. */
  readonly beans: Beans | null;
}

export interface Beans {
  readonly celsius: number;
  /** Share of their water that is left. */
  readonly moisture: number;
  readonly massG: number;
  /** They have cracked once. */
  readonly cracked: boolean;
}

/** Each 0 to 1. */
export interface RoasterControls {
  readonly burner: number;
  readonly airflow: number;
  /** Above a half: the door is open and the beans fall into the cooler. */
  readonly drop: number;
  /** Above a half: the hopper is open. */
  readonly charge: number;
}

export const ROOM_C = 22;
/** Beans crack first at about this, by their own temperature. */
const FIRST_CRACK_C = 196;
/** Longest step of the integration, s. */
const STEP_S = 0.1;

/** Drum and air at full burner and little air come to about this. */
const FLAME_C = 460;
const BURNER_LAG_S = 210;
const AIR_LAG_S = 18;
const BEANS_LAG_S = 260;
const BATCH_G = 1000;
const PROBE_LAG_S = 15;
const AMONG_BEANS = 0.78;

/** A roaster that has been warmed up to `celsius`, empty. */
export function warmRoaster(celsius = 205): RoasterModel {
  return { drum: celsius, air: celsius, btProbe: celsius, etProbe: celsius, beans: null };
}

/**
 * The roaster some time later (roast.md "Drivers"): a burner that heats the drum, air that cools it and carries its
 * heat, beans that take heat, give off water, and give a little heat of their own at first crack.
 * @param greenG weight of the batch that the hopper holds
 */
export function advanceRoaster(
  roaster: RoasterModel,
  controls: RoasterControls,
  seconds: number,
  greenG: number = BATCH_G,
): RoasterModel {
  let now = roaster;
  for (let left = seconds; left > 1e-9; left -= STEP_S) {
    now = step(now, controls, Math.min(left, STEP_S), greenG);
  }
  return now;
}

function step(
  { drum, air, btProbe, etProbe, beans }: RoasterModel,
  { burner, airflow, drop, charge }: RoasterControls,
  stepS: number,
  greenG: number,
): RoasterModel {
  const open = drop > 0.5;
  let held = beans;
  if (open) held = null;
  else if (held === null && charge > 0.5) {
    held = { celsius: ROOM_C, moisture: 1, massG: greenG, cracked: false };
  }
  const heated = ROOM_C + (FLAME_C - ROOM_C) * Math.max(0.12, burner) * (1 - 0.25 * airflow);
  const load = held === null ? 0 : held.massG / BATCH_G;
  const nextDrum = approach(drum, heated, BURNER_LAG_S, stepS);
  const aim = drum - 12 * airflow - load * Math.max(0, (air - (held?.celsius ?? air)) * 0.5);
  const nextAir = approach(air, open ? Math.min(aim, 150) : aim, AIR_LAG_S, stepS);
  const feels =
    held === null ? (open ? Math.min(nextAir, 110) : nextAir) : probeFeels(held.celsius, air, AMONG_BEANS);
  return {
    drum: nextDrum,
    air: nextAir,
    beans: held === null ? null : roastBeans(held, air, airflow, stepS),
    btProbe: approach(btProbe, feels, PROBE_LAG_S, stepS),
    etProbe: approach(etProbe, nextAir, PROBE_LAG_S, stepS),
  };
}

function roastBeans(beans: Beans, air: number, airflow: number, stepS: number): Beans {
  const lagS = (BEANS_LAG_S * Math.sqrt(beans.massG / BATCH_G)) / (0.85 + 0.3 * airflow);
  // Water that boils off takes its heat with it, most of it between 100 and 160 °C.
  const drying = beans.celsius > 90 && beans.celsius < 170 ? 0.06 * beans.moisture : 0;
  const crack = beans.celsius > FIRST_CRACK_C && beans.celsius < FIRST_CRACK_C + 8 ? 0.015 : 0;
  return {
    ...beans,
    celsius: approach(beans.celsius, air, lagS, stepS) + (crack - drying) * stepS,
    moisture: drying > 0 ? approach(beans.moisture, 0, 240, stepS) : beans.moisture,
    cracked: beans.cracked || beans.celsius >= FIRST_CRACK_C,
  };
}
