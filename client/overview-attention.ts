import { waitsWords } from './firmware-stages.js';
import { callsForSomebody, rolloutTitle } from './firmware-view.js';
import type { RolloutWire } from './firmware-wire.js';
import { ROLLOUT_WORDS } from './firmware-words.js';
import { anchorOf } from './laundry-view.js';
import type { OverviewWire, RoastMachineWire, SolarPart } from './overview-wire.js';
import { attentionOf, type PondAttentionView } from './pond-attention.js';
import { addExecutions, pondOf } from './pond-state.js';
import { agoWords, counted, durationWords, exactTime, shortIds } from './words.js';

/** One thing that needs somebody, and where it is to be seen. */
export interface OverviewAttention {
  key: string;
  look: 'failure' | 'warning';
  icon: string;
  title: string;
  text: string;
  exact: string;
  /** Below the dashboard: `laundry#controller-…`. */
  place: string;
}

/** So many of one kind at one place are told one by one; more are told together. */
const ONE_BY_ONE = 3;
/** The gateway counts a flood up to here. */
const FLOOD = 10_000;

/** All that needs somebody now: what has failed before what may wait. @param now epoch milliseconds UTC */
export function overviewAttention(overview: OverviewWire, now: number): OverviewAttention[] {
  const found = [
    ...ofLaundry(overview, now),
    ...ofPonds(overview, now),
    ...ofFirmware(overview, now),
    ...ofSolar(overview, now),
    ...ofRoasts(overview),
    ...ofRefused(overview, now),
  ];
  const failures = found.filter(({ look }) => look === 'failure');
  return [...failures, ...found.filter(({ look }) => look !== 'failure')];
}

/** Items of one place, one by one where they are few. */
function together<Item>(
  items: readonly Item[],
  place: (item: Item) => string,
  one: (item: Item) => OverviewAttention,
  many: (items: readonly Item[]) => OverviewAttention,
): OverviewAttention[] {
  const groups = new Map<string, Item[]>();
  for (const item of items) {
    const group = groups.get(place(item)) ?? [];
    group.push(item);
    groups.set(place(item), group);
  }
  return [...groups.values()].flatMap((group) =>
    group.length > ONE_BY_ONE ? [many(group)] : group.map(one),
  );
}

function ofLaundry({ laundry }: OverviewWire, now: number): OverviewAttention[] {
  if (laundry.state !== 'ready') return [];
  const controllers = shortIds(laundry.offline.map(({ controller_id }) => controller_id));
  const shops = shortIds(laundry.offline.map(({ store_id }) => store_id));
  const icon = 'mdi-access-point-network-off';
  const items = together(
    laundry.offline,
    ({ store_id }) => store_id,
    ({ store_id, controller_id, last_seen, machines }) => ({
      key: `laundry-${store_id}-${controller_id}`,
      look: 'failure',
      icon,
      title: `Controller ${controllers.get(controller_id)} is offline for ${durationWords(now - Date.parse(last_seen))}`,
      text: `Shop ${shops.get(store_id)}${unknown(machines)}. Check its power and network.`,
      exact: `Last word ${exactTime(Date.parse(last_seen))}`,
      place: `laundry#${anchorOf(controller_id)}`,
    }),
    (group) => ({
      key: `laundry-${group[0]?.store_id}`,
      look: 'failure',
      icon,
      title: `${group.length} controllers of shop ${shops.get(group[0]?.store_id ?? '')} are offline`,
      text: `Shop ${shops.get(group[0]?.store_id ?? '')}${unknown(sumOf(group.map(({ machines }) => machines)))}. Check its power and network.`,
      exact: '',
      place: `laundry#${anchorOf(group[0]?.controller_id ?? '')}`,
    }),
  );
  return [
    ...items,
    ...more('laundry', 'laundry', laundry.controllers_offline - laundry.offline.length, 'controller'),
  ];
}

/** Some controllers have no machine: they only take firmware. */
const unknown = (machines: number) => (machines === 0 ? '' : `: ${counted(machines, 'machine')} unknown`);

/** What is not named because it is too much. */
function more(key: string, place: string, count: number, one: string): OverviewAttention[] {
  if (count <= 0) return [];
  return [
    {
      key: `${key}-more`,
      look: 'failure',
      icon: 'mdi-dots-horizontal-circle-outline',
      title: `${counted(count, `more ${one}`)} offline`,
      text: 'They were away for longer.',
      exact: '',
      place,
    },
  ];
}

const sumOf = (numbers: readonly number[]) => numbers.reduce((sum, number) => sum + number, 0);

/** What is said of a kind of which there is much, by how many ponds it is about. */
const OF_PONDS: Readonly<Record<PondAttentionView['kind'], string>> = {
  alert: 'have alerts that nobody has acknowledged',
  device: 'have a device that is offline',
  limit: 'are outside their limits',
  command: 'have a command that failed',
};

/** As the page Ponds judges it. */
function ofPonds({ ponds }: OverviewWire, now: number): OverviewAttention[] {
  if (ponds.state !== 'ready') return [];
  const items = ponds.calling.flatMap(({ pond, execution }) =>
    attentionOf(addExecutions(pondOf(pond), execution === null ? [] : [execution]), now),
  );
  // Of those that are too many to be told only the number came.
  const counts: Partial<Record<PondAttentionView['kind'], number>> = {
    alert: ponds.ponds_alerted,
    device: ponds.ponds_offline,
    limit: ponds.ponds_outside,
  };
  return together(
    items,
    ({ kind }) => kind,
    ({ key, look, icon, title, text, exact, pondId }) => ({
      key: `ponds-${key}`,
      ...{ look, icon, title, text, exact },
      place: `ponds#pond-${pondId}`,
    }),
    (group) => {
      const { kind, icon } = group[0] as PondAttentionView;
      const names = [...new Set(group.map(({ name }) => name))];
      const count = Math.max(counts[kind] ?? 0, names.length);
      const others = count - Math.min(names.length, ONE_BY_ONE);
      return {
        key: `ponds-${kind}`,
        look: group.some(({ look }) => look === 'failure') ? 'failure' : 'warning',
        icon,
        title: `${counted(count, 'pond')} ${OF_PONDS[kind]}`,
        text: `${names.slice(0, ONE_BY_ONE).join(', ')}${others > 0 ? ` and ${others} more` : ''}`,
        exact: '',
        place: 'ponds',
      };
    },
  );
}

function ofFirmware({ firmware }: OverviewWire, now: number): OverviewAttention[] {
  if (firmware.state !== 'ready') return [];
  const calls = (rollout: RolloutWire) => callsForSomebody(rollout) || rollout.state === 'ABORTED';
  return firmware.calling.filter(calls).map((rollout) => {
    const { id, state, stuck, ended_at } = rollout;
    const { word, icon } = ROLLOUT_WORDS[state];
    const failed = state === 'ABORTED' || stuck > 0;
    return {
      key: `firmware-${id}`,
      look: failed ? 'failure' : 'warning',
      icon,
      title: `${rolloutTitle(rollout)}: ${word.toLowerCase()}`,
      text: `${waitsWords(rollout, now)}${stuck > 0 ? ` ${counted(stuck, 'controller')} did not answer to the cancellation.` : ''}`,
      exact: ended_at === null ? '' : `Ended ${exactTime(Date.parse(ended_at))}`,
      place: `firmware#rollout-${id}`,
    };
  });
}

const AWAY: Readonly<Record<string, { icon: string; title: string; text: string }>> = {
  offline: {
    icon: 'mdi-lan-disconnect',
    title: 'offline',
    text: 'The broker has told its last will: it lost its connection, or was switched off.',
  },
  stale: {
    icon: 'mdi-clock-alert-outline',
    title: 'stale',
    text: 'It has not said that it goes. Check its network.',
  },
};

function ofSolar({ solar }: OverviewWire, now: number): OverviewAttention[] {
  if (solar.state !== 'ready') return [];
  const several = solar.companies > 1;
  const placeOf = (company: string, machine: string) =>
    `solar#machine-${encodeURIComponent(company)}-${encodeURIComponent(machine)}`;
  const of = (company: string) => (several ? ` of company ${company}` : '');
  const away = together(
    solar.away,
    ({ company_id, status }) => JSON.stringify([company_id, status]),
    ({ company_id, machine_id, status, since, last_seen }) => ({
      key: `solar-${company_id}-${machine_id}`,
      look: status === 'offline' ? 'failure' : 'warning',
      icon: AWAY[status]?.icon ?? '',
      title: `Machine ${machine_id}${of(company_id)} is ${AWAY[status]?.title} for ${durationWords(now - Date.parse(since))}`,
      text: AWAY[status]?.text ?? '',
      exact: last_seen === null ? '' : `Last heard ${exactTime(Date.parse(last_seen))}`,
      place: placeOf(company_id, machine_id),
    }),
    (group) => {
      const { company_id = '', status = '' } = group[0] ?? {};
      return {
        key: `solar-${company_id}-${status}`,
        look: status === 'offline' ? 'failure' : 'warning',
        icon: AWAY[status]?.icon ?? '',
        title: `${group.length} machines${of(company_id)} are ${AWAY[status]?.title}`,
        text:
          status === 'offline' ? 'The broker has told their last wills.' : 'They have not said that they go.',
        exact: '',
        place: 'solar',
      };
    },
  );
  return [
    ...away,
    ...more('solar', 'solar', awayIn(solar.states) - solar.away.length, 'machine'),
    ...failedCommands(solar, now, placeOf),
  ];
}

export const awayIn = (states: Readonly<Record<string, number>>) =>
  (states['offline'] ?? 0) + (states['stale'] ?? 0);

function failedCommands(
  { failed_commands }: SolarPart,
  now: number,
  placeOf: (company: string, machine: string) => string,
): OverviewAttention[] {
  return failed_commands.map(({ company_id, machine_id, command, reason, created_at }) => ({
    key: `solar-command-${company_id}-${machine_id}`,
    look: 'warning',
    icon: 'mdi-alert-circle-outline',
    title: `Machine ${machine_id}: ${command} failed`,
    text: `${agoWords(Date.parse(created_at), now)}${reason === null ? '' : `: ${reason.replaceAll('_', ' ')}`}.`,
    exact: exactTime(Date.parse(created_at)),
    place: placeOf(company_id, machine_id),
  }));
}

function ofRoasts({ roast }: OverviewWire): OverviewAttention[] {
  if (roast.state !== 'ready') return [];
  return roast.machines.flatMap((machine) => [...driverOf(machine), ...alarmsOf(machine)]);
}

const roastPlace = ({ id }: RoastMachineWire) => `roast#machine-${encodeURIComponent(id)}`;

/** A driver that should be connected and is not. */
function driverOf(machine: RoastMachineWire): OverviewAttention[] {
  const { id, name, state, driver_state, driver_message } = machine;
  if (driver_state !== 'reconnecting') return [];
  const roasts = state === 'recording';
  return [
    {
      key: `roast-driver-${id}`,
      look: roasts ? 'failure' : 'warning',
      icon: 'mdi-connection',
      title: `${name}: no connection to the machine`,
      text: `${driver_message === '' ? 'It is tried again and again' : driver_message}.${roasts ? ' It roasts: nothing is recorded now.' : ''}`,
      exact: '',
      place: roastPlace(machine),
    },
  ];
}

function alarmsOf(machine: RoastMachineWire): OverviewAttention[] {
  if (machine.state !== 'monitoring' && machine.state !== 'recording') return [];
  return machine.alarms
    .filter(({ severity }) => severity !== 'info')
    .map(({ id, message, severity }) => ({
      key: `roast-alarm-${machine.id}-${id}`,
      look: severity === 'critical' ? 'failure' : 'warning',
      icon: severity === 'critical' ? 'mdi-alert-octagon-outline' : 'mdi-alert-outline',
      title: `${machine.name}: ${message}`,
      text: `Alarm ${id} of the roast that runs.`,
      exact: '',
      place: roastPlace(machine),
    }));
}

const SENDERS: Readonly<Record<string, string>> = {
  laundry: 'controllers of laundries',
  command: 'devices',
  device: 'pond devices',
  firmware: 'controllers that are updated',
  solar: 'solar machines',
};

function ofRefused({ refused }: OverviewWire, now: number): OverviewAttention[] {
  if (refused.state !== 'ready') return [];
  return refused.protocols.map(({ protocol, count, newest_at }) => {
    const at = Date.parse(newest_at);
    const many = count >= FLOOD ? `${FLOOD} messages or more` : counted(count, 'message');
    return {
      key: `refused-${protocol}`,
      look: 'warning',
      icon: 'mdi-email-alert-outline',
      title: `${many} of ${SENDERS[protocol] ?? protocol} refused in the last 24 hours`,
      text: `The newest ${agoWords(at, now)}. Nothing of it is lost: see the reason, and replay once its cause is gone.`,
      exact: exactTime(at),
      place: `overview#refused-${protocol}`,
    };
  });
}
