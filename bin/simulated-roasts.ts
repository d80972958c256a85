import { detect, newDetection } from '../lib/roast/detection.js';
import { effectiveEvents } from '../lib/roast/event.js';
import { parseMachine } from '../lib/roast/machine-definition.js';
import { inOrder, NO_NOTES, type Profile, type ProfileEvent } from '../lib/roast/profile.js';
import type { Sample } from '../lib/roast/reading.js';
import { createSimulatorDriver } from '../lib/roast/simulator-driver.js';
import { roastStore } from '../lib/store/roast.js';
import { type Profiles, roastProfiles } from '../lib/store/roast-profiles.js';
import type { Store } from '../lib/store/store.js';

const ALARMS = [
  {
    id: 'a-crack-is-near',
    message: 'First crack is near: listen',
    severity: 'info',
    when: { source: 'bt', above: 194 },
    after_event: 'TP',
  },
  {
    id: 'b-hot',
    message: 'Beans above 216 °C: drop them',
    severity: 'critical',
    when: { source: 'bt', above: 216 },
    after_event: 'TP',
  },
];
const CONFIG = { noise_c: 0.1, green_g: 1000, speed: 6, alarms: ALARMS };

/** At the first one somebody roasts all day (flows/simulators-roasts.json); the second one is for who looks at it. */
const MACHINES = [
  {
    id: 'demo-roaster-1',
    name: 'Drum 1 (simulated, roasts by itself)',
    driver: 'simulator',
    config: CONFIG,
  },
  {
    id: 'demo-roaster-2',
    name: 'Drum 2 (simulated, for you to roast)',
    driver: 'simulator',
    config: CONFIG,
  },
].map((body) => parseMachine(body, body.id));

/** The sample roast is of this session, which never was. */
const SAMPLE_SESSION = 'sample';

/**
 * Makes the simulated roasters and a roast to compare with, once, and connects them; without simulation they go. What
 * was saved of them stays.
 */
export async function prepareSimulatedRoasters(store: Store, simulate: boolean): Promise<void> {
  const rows = roastStore(store);
  const profiles = roastProfiles(store);
  const present = new Set((await rows.machines()).map(({ definition }) => definition.id));
  if (!simulate) {
    const gone = MACHINES.filter(({ id }) => present.has(id));
    for (const { id } of gone) await rows.removeMachine(id);
    if (gone.length > 0) await removeSamples(profiles);
    return;
  }
  const missing = MACHINES.filter(({ id }) => !present.has(id));
  for (const definition of missing) {
    await rows.addMachine(definition);
    await rows.setConnected(definition.id, true);
  }
  if (missing.length === MACHINES.length) {
    await profiles.add(await sampleRoast(), { machineId: missing[0]?.id ?? '', sessionId: SAMPLE_SESSION });
  }
}

async function removeSamples(profiles: Profiles): Promise<void> {
  let cursor: string | null = null;
  do {
    const page: Awaited<ReturnType<Profiles['page']>> = await profiles.page(
      cursor === null ? {} : { cursor },
    );
    for (const { id, sessionId } of page.items) if (sessionId === SAMPLE_SESSION) await profiles.remove(id);
    cursor = page.next_cursor;
  } while (cursor !== null);
}

const CHARGE_MS = 30_000;
const DEVELOPMENT_MS = 105_000;
const AFTER_DROP_MS = 45_000;
/** Burner from a bean temperature on, after the turning point. */
const BURNER = [
  [200, 0.5],
  [190, 0.55],
  [175, 0.6],
  [155, 0.64],
  [130, 0.68],
  [-40, 0.72],
] as const;

/** A roast of the simulator from its charge to its drop, computed at once; the same one each time. */
export async function sampleRoast(): Promise<Profile> {
  let nowMs = 0;
  const driver = createSimulatorDriver(
    () => nowMs,
    { noiseC: 0.05 },
    () => 0.5,
  );
  const samples: Sample[] = [];
  const controls: { timeMs: number; channel: string; value: number; label: string }[] = [];
  let detection = newDetection();
  let crackMs = Infinity;
  let dropMs = Infinity;
  const set = async (channel: string, value: number) => {
    await driver.write(channel, value);
    controls.push({ timeMs: nowMs, channel, value, label: '' });
  };
  for (; nowMs < dropMs + AFTER_DROP_MS; nowMs += 1_000) {
    if (nowMs === CHARGE_MS) await set('charge', 1);
    if (nowMs === CHARGE_MS + 2_000) await set('charge', 0);
    const { bt, et, events = [] } = await driver.read();
    const sample = { timeMs: nowMs, bt, et };
    samples.push(sample);
    detection = detect(detection, { type: 'sample', sample }).state;
    if (events.includes('FCs')) {
      crackMs = nowMs;
      const mark = { event: 'FCs', timeMs: nowMs, nowMs, source: 'marked' } as const;
      detection = detect(detection, { type: 'mark', ...mark }).state;
    }
    if (nowMs >= CHARGE_MS && dropMs === Infinity) {
      const warm = nowMs > CHARGE_MS + 90_000 && bt !== null ? bt : -40;
      const burner = BURNER.find(([from]) => warm >= from)?.[1] ?? 0.5;
      const last = controls.findLast(({ channel }) => channel === 'burner')?.value;
      if (last === undefined || burner < last) await set('burner', burner);
    }
    if (nowMs > crackMs + DEVELOPMENT_MS && dropMs === Infinity) {
      dropMs = nowMs;
      await set('drop', 1);
    }
  }
  return {
    title: 'Sample roast (simulated)',
    startedAt: null,
    unit: 'C',
    samples,
    events: inOrder([...effectiveEvents(detection.events).values()].map(profileEvent)),
    controls,
    extraChannels: [],
    notes: { ...NO_NOTES, beans: 'Washed, 1 kg', roaster: 'Simulated drum' },
    greenG: 1000,
    roastedG: 858,
    artisan: null,
  };
}

const profileEvent = ({ type, timeMs, source, bt, et }: ProfileEvent): ProfileEvent => ({
  type,
  timeMs: Math.round(timeMs),
  source,
  bt,
  et,
});
