import type { Problem } from './api.js';
import { type ConnectionView, connectionView } from './connection-view.js';
import type { ShownCompany } from './followed-company.js';
import type { Past } from './followed-machine.js';
import type { LoginState } from './login.js';
import type { Sent } from './solar-command.js';
import type { Machine } from './solar-fleet.js';
import {
  type AttentionView,
  attentionOf,
  type CountView,
  countsOf,
  type Filter,
  filtered,
  type MachineView,
  machineView,
  type Sort,
  sorted,
} from './solar-list.js';
import { type Offers, type OpenedMachineView, openedView } from './solar-opened.js';
import type { Curves, Span } from './solar-series.js';

/** How the machines are listed. */
export interface Listing {
  as: 'tiles' | 'table';
  filter: Filter;
  /** Part of an id. */
  text: string;
  sort: Sort;
}

export interface SolarLogin extends LoginState {
  /** What wants it: to see anything at all, or to send a command. */
  purpose: 'read' | 'command';
}

/** All that the page knows; `viewOf` turns it into what a person reads. */
export interface SolarPageState {
  username: string | undefined;
  /** Undefined until the gateway has told them. */
  companies: readonly string[] | undefined;
  /** One company, or all. */
  chosen: string | undefined;
  /** Those that are followed, in the order of their ids. */
  shown: readonly ShownCompany[];
  listing: Listing;
  /** Key of the machine that is open. */
  opened: string | undefined;
  past: Past | undefined;
  span: Span;
  /** By company. */
  offers: ReadonlyMap<string, Offers>;
  /** Newest first. */
  sent: readonly Sent[];
  reachable: boolean;
  answeredAt: number | undefined;
  problem: Problem | undefined;
  login: SolarLogin | undefined;
}

export interface SolarView {
  phase: 'loading' | 'login' | 'error' | 'empty' | 'ready';
  username: string;
  problem: Problem | undefined;
  login: SolarLogin | undefined;
  connection: ConnectionView;
  choices: readonly { companyId: string | undefined; label: string; chosen: boolean }[];
  as: Listing['as'];
  text: string;
  sort: Sort;
  counts: readonly CountView[];
  attention: readonly AttentionView[];
  /** Machines of several companies are listed: each says whose it is. */
  mixed: boolean;
  /** Filtered and sorted. */
  machines: readonly MachineView[];
  /** Some company's machines are still to come. */
  loading: boolean;
  /** Of a company that this login may not see any more. */
  refused: readonly string[];
  opened: OpenedMachineView | undefined;
  /** What a screen reader is to say of the last command, as it changes. */
  spoken: string;
}

export function machineOfKey(shown: readonly ShownCompany[], key: string | undefined): Machine | undefined {
  if (key === undefined) return undefined;
  for (const { fleet } of shown) {
    const machine = fleet.machines.find((one) => one.key === key);
    if (machine !== undefined) return machine;
  }
  return undefined;
}

/** @param now epoch milliseconds UTC, to which ages are counted */
export function viewOf(state: SolarPageState, curves: Curves, now: number): SolarView {
  const { shown, listing, opened: key, past, span, offers, sent } = state;
  const connection = connectionView(
    shown.map(({ feed }) => feed),
    state.reachable,
    state.answeredAt,
    now,
  );
  // How long a machine has been as it is, is known only up to when we last heard.
  const { trueAt } = connection;
  const machines = shown.flatMap(({ fleet }) => fleet.machines);
  const mixed = shown.length > 1;
  const machine = machineOfKey(shown, key);
  const own = sent.filter((one) => one.machine === key);
  const opened =
    machine === undefined || past === undefined
      ? undefined
      : openedView({ machine, past, span, offers: offers.get(machine.companyId), sent: own }, curves, now);
  const listed =
    opened === undefined ? sorted(filtered(machines, listing.filter, listing.text), listing.sort) : [];
  return {
    phase: phaseOf(state),
    username: state.username ?? '',
    problem: state.problem,
    login: state.login,
    connection,
    choices: choicesOf(state),
    as: listing.as,
    text: listing.text,
    sort: listing.sort,
    counts: countsOf(machines, listing.filter),
    attention: opened === undefined ? attentionOf(machines, trueAt) : [],
    mixed,
    machines: listed.map((one) => machineView(one, mixed, trueAt)),
    loading: shown.some(({ loaded, feed }) => !loaded && feed.kind !== 'refused'),
    refused: shown
      .filter(({ feed }) => feed.kind === 'refused' && feed.reason !== 'unauthenticated')
      .map(({ fleet }) => fleet.companyId),
    opened,
    spoken: opened?.sent[0]?.spoken ?? '',
  };
}

function phaseOf({ login, companies, problem, shown }: SolarPageState): SolarView['phase'] {
  if (login?.purpose === 'read') return 'login';
  if (companies === undefined) return problem === undefined ? 'loading' : 'error';
  const any = companies.length > 0 || shown.length > 0;
  return any ? 'ready' : 'empty';
}

function choicesOf({ companies = [], chosen }: SolarPageState): SolarView['choices'] {
  if (companies.length < 2) return [];
  return [
    { companyId: undefined, label: 'All companies', chosen: chosen === undefined },
    ...companies.map((companyId) => ({ companyId, label: companyId, chosen: chosen === companyId })),
  ];
}
