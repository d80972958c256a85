import type { Problem } from './api.js';
import { type ConnectionView, connectionView } from './connection-view.js';
import type { Change, Controller, Machine, Shop } from './laundry-state.js';
import type { StripSegment } from './laundry-strip.js';
import { machineTitle, STATUS_ICONS, STATUS_WORDS, type TileView, tileView } from './laundry-tile.js';
import type { MachineStatus } from './laundry-wire.js';
import type { FeedState } from './live-feed.js';
import type { LoginState } from './login.js';
import { type RefusedState, type RefusedView, refusedView } from './refused-view.js';
import { agoWords, clockTime, counted, durationWords, exactTime, percentWords, shortIds } from './words.js';

export type Filter = MachineStatus | 'all';

/** A shop that the page shows, and how its live feed does. */
export interface ShownShop {
  shop: Shop;
  feed: FeedState;
  /** False until the first snapshot. */
  loaded: boolean;
}

/** All that the page knows; `viewOf` turns it into what a person reads. */
export interface LaundryPageState {
  /** Who is logged in. */
  username: string | undefined;
  /** Undefined until the gateway has told them. */
  storeIds: readonly string[] | undefined;
  /** One shop, or all. */
  chosen: string | undefined;
  shown: readonly ShownShop[];
  /** Of each shop; all machines where nothing is said. */
  filters: ReadonlyMap<string, Filter>;
  /** False while the gateway does not answer. */
  reachable: boolean;
  /** When it last answered, epoch ms. */
  answeredAt: number | undefined;
  problem: Problem | undefined;
  login: LaundryLogin | undefined;
  refused: RefusedState;
}

export interface LaundryLogin extends LoginState {
  /** What waits for the login. */
  purpose: 'read' | 'replay';
}

export interface ControllerView {
  key: string;
  anchor: string;
  label: string;
  id: string;
  online: boolean;
  word: string;
  exact: string;
  tiles: readonly TileView[];
}

export interface CountView {
  filter: Filter;
  word: string;
  count: number;
  pressed: boolean;
}

export interface ShopView {
  storeId: string;
  label: string;
  state: 'loading' | 'ready' | 'no_machines' | 'not_found' | 'forbidden';
  busyShare: string;
  cycles: string;
  counts: readonly CountView[];
  compact: boolean;
  controllers: readonly ControllerView[];
  /** How many tiles the filter leaves. */
  tilesShown: number;
  /** Key of the one that the Tab key stops at; arrow keys reach the others. */
  firstTile: string | undefined;
}

export interface AttentionView {
  key: string;
  kind: 'offline' | 'refused';
  icon: string;
  title: string;
  text: string;
  exact: string;
  /** Element to go to; undefined opens the refused messages. */
  anchor: string | undefined;
}

export interface ChangeView {
  key: string;
  time: string;
  exact: string;
  machine: string;
  shop: string;
  from: string;
  to: MachineStatus;
  toWord: string;
  icon: string;
}

export interface LaundryView {
  phase: 'loading' | 'login' | 'error' | 'empty' | 'ready';
  problem: Problem | undefined;
  login: LaundryLogin | undefined;
  username: string | undefined;
  connection: ConnectionView;
  choices: readonly { storeId: string | undefined; label: string; chosen: boolean }[];
  shops: readonly ShopView[];
  attention: readonly AttentionView[];
  changes: readonly ChangeView[];
  refused: RefusedView;
}

/** From this many machines in a shop on, tiles leave out their figures. */
const COMPACT_FROM = 60;
const CHANGES_SHOWN = 16;

/** A machine's last 24 hours; the page keeps them, since they cost more than the rest. */
export type Strips = (
  machine: Machine,
  shop: Shop,
  controller: Controller,
  now: number,
) => readonly StripSegment[];

/** @param now epoch milliseconds UTC, to which ages are counted */
export function viewOf(state: LaundryPageState, strips: Strips, now: number): LaundryView {
  const labels = shortIds(state.storeIds ?? []);
  const label = (storeId: string) => `Shop ${labels.get(storeId) ?? storeId.slice(0, 8)}`;
  const connection = connectionView(
    state.shown.map(({ feed }) => feed),
    state.reachable,
    state.answeredAt,
    now,
  );
  const refused = refusedView(state.refused, now);
  const controllerIds = state.shown.flatMap(({ shop }) => shop.controllers.map((one) => one.controllerId));
  const short = shortIds(controllerIds);
  const offline = state.shown
    .filter(({ loaded }) => loaded)
    .flatMap(({ shop }) => offlineControllers(shop, label(shop.storeId), short, now));
  return {
    phase: phaseOf(state),
    problem: state.problem,
    login: state.login,
    username: state.username,
    connection,
    choices: choicesOf(state, label),
    // How long a machine has been busy is known only up to when we last heard.
    shops: state.shown.map((shown) =>
      shopView(shown, label(shown.shop.storeId), state.filters.get(shown.shop.storeId) ?? 'all', strips, {
        now,
        trueAt: connection.trueAt,
        short,
      }),
    ),
    attention: [...offline, ...refusedAttention(state.refused, now)],
    changes: changesOf(state, label, now),
    refused,
  };
}

function phaseOf(state: LaundryPageState): LaundryView['phase'] {
  if (state.login?.purpose === 'read') return 'login';
  if (state.storeIds === undefined) return state.problem === undefined ? 'loading' : 'error';
  return state.storeIds.length === 0 ? 'empty' : 'ready';
}

function choicesOf(state: LaundryPageState, label: (storeId: string) => string): LaundryView['choices'] {
  const storeIds = state.storeIds ?? [];
  if (storeIds.length < 2) return [];
  const all = { storeId: undefined, label: 'All shops', chosen: state.chosen === undefined };
  return [
    all,
    ...storeIds.map((storeId) => ({
      storeId,
      label: label(storeId),
      chosen: state.chosen === storeId,
    })),
  ];
}

function shopView(
  { shop, feed, loaded }: ShownShop,
  label: string,
  filter: Filter,
  strips: Strips,
  { now, trueAt, short }: { now: number; trueAt: number; short: ReadonlyMap<string, string> },
): ShopView {
  const machines = shop.controllers.flatMap((controller) => controller.machines);
  const controllers = shop.controllers.map((controller) => {
    const tiles = controller.machines
      .filter(({ status }) => filter === 'all' || status === filter)
      .map((machine) =>
        tileView(
          machine,
          controller,
          shop.statistics?.get(machine.key),
          strips(machine, shop, controller, trueAt),
          trueAt,
        ),
      );
    return controllerView(controller, short.get(controller.controllerId) ?? '', tiles, now);
  });
  const shown = filter === 'all' ? controllers : controllers.filter(({ tiles }) => tiles.length > 0);
  return {
    storeId: shop.storeId,
    label,
    state: shopState(feed, loaded, machines.length),
    ...totals(shop, machines),
    counts: countsOf(machines, filter),
    compact: machines.length >= COMPACT_FROM,
    controllers: shown,
    tilesShown: shown.reduce((sum, { tiles }) => sum + tiles.length, 0),
    firstTile: shown.find(({ tiles }) => tiles.length > 0)?.tiles[0]?.key,
  };
}

function shopState(feed: FeedState, loaded: boolean, machines: number): ShopView['state'] {
  if (feed.kind === 'refused' && feed.reason !== 'unauthenticated') return feed.reason;
  if (!loaded) return 'loading';
  return machines === 0 ? 'no_machines' : 'ready';
}

/** The shop's busy share today is the mean of its machines': each had the same day. */
function totals(shop: Shop, machines: readonly Machine[]): { busyShare: string; cycles: string } {
  const { statistics } = shop;
  if (statistics === undefined || machines.length === 0) return { busyShare: '–', cycles: '–' };
  let share = 0;
  let cycles = 0;
  for (const { key } of machines) {
    const today = statistics.get(key);
    share += today?.busyShare ?? 0;
    cycles += today?.cycles ?? 0;
  }
  return { busyShare: percentWords(share / machines.length), cycles: String(cycles) };
}

function countsOf(machines: readonly Machine[], filter: Filter): CountView[] {
  const count = (wanted: Filter) =>
    wanted === 'all' ? machines.length : machines.filter(({ status }) => status === wanted).length;
  const words: Record<Filter, string> = { all: 'All', ...STATUS_WORDS };
  return (['all', 'busy', 'idle', 'unknown'] as const).map((wanted) => ({
    filter: wanted,
    word: words[wanted],
    count: count(wanted),
    pressed: filter === wanted,
  }));
}

function controllerView(
  controller: Controller,
  short: string,
  tiles: readonly TileView[],
  now: number,
): ControllerView {
  const { controllerId, online, lastSeen } = controller;
  return {
    key: controllerId,
    anchor: anchorOf(controllerId),
    id: controllerId,
    label: `Controller ${short}`,
    online,
    word: online
      ? `Online, last word ${agoWords(lastSeen, now)}`
      : `Offline, last word ${agoWords(lastSeen, now)}`,
    exact: exactTime(lastSeen),
    tiles,
  };
}

function offlineControllers(
  shop: Shop,
  label: string,
  short: ReadonlyMap<string, string>,
  now: number,
): AttentionView[] {
  return shop.controllers
    .filter(({ online }) => !online)
    .sort((a, b) => b.machines.length - a.machines.length || b.lastSeen - a.lastSeen)
    .map(({ controllerId, lastSeen, machines }) => ({
      key: controllerId,
      kind: 'offline' as const,
      icon: 'mdi-access-point-network-off',
      title: `Controller ${short.get(controllerId)} is offline for ${durationWords(now - lastSeen)}`,
      text: `${label}: ${counted(machines.length, 'machine')} unknown. Check its power and network.`,
      exact: `Last word ${exactTime(lastSeen)}`,
      anchor: anchorOf(controllerId),
    }));
}

/** Those that were accepted on replay need nobody any more. */
function refusedAttention({ items = [], more, replays }: RefusedState, now: number): AttentionView[] {
  const open = items.filter(({ id }) => replays.get(String(id))?.kind !== 'accepted').length;
  const [newest] = items;
  if (open === 0 || newest === undefined) return [];
  const at = Date.parse(newest.received_at);
  return [
    {
      key: 'refused',
      kind: 'refused',
      icon: 'mdi-email-alert-outline',
      title: `${counted(open, 'message')}${more ? ' or more' : ''} refused in the last 24 hours`,
      text: `The newest ${agoWords(at, now)}: ${newest.message}`,
      exact: exactTime(at),
      anchor: undefined,
    },
  ];
}

function changesOf(
  state: LaundryPageState,
  label: (storeId: string) => string,
  now: number,
): readonly ChangeView[] {
  return state.shown
    .flatMap(({ shop }) => shop.recent.map((change) => ({ change, storeId: shop.storeId })))
    .sort((a, b) => b.change.at - a.change.at)
    .slice(0, CHANGES_SHOWN)
    .map(({ change, storeId }) => changeView(change, state.shown.length > 1 ? label(storeId) : '', now));
}

function changeView(change: Change, shop: string, now: number): ChangeView {
  const { previousStatus, status, at } = change;
  return {
    key: `${change.key}@${at}`,
    time: clockTime(at, now),
    exact: exactTime(at),
    machine: machineTitle(change.machineType, change.relayId),
    shop,
    from: previousStatus === null ? 'first heard' : STATUS_WORDS[previousStatus],
    to: status,
    toWord: STATUS_WORDS[status],
    icon: STATUS_ICONS[status],
  };
}

/** Id of the element that shows a controller. */
export const anchorOf = (controllerId: string) => `controller-${controllerId}`;
