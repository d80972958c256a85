import type {
  ChangeWire,
  ControllerWire,
  LaundryMessage,
  LivenessWire,
  MachineStatus,
  MachineType,
  MachineWire,
  StatisticsWire,
  StoreWire,
} from './laundry-wire.js';

/** Times are epoch milliseconds UTC. */
export interface Machine {
  key: string;
  controllerId: string;
  relayId: number;
  machineType: MachineType;
  status: MachineStatus;
  /** What it was before its controller went away; equals `status` while that is known. */
  lastStatus: MachineStatus;
  since: number;
}

export interface Controller {
  controllerId: string;
  online: boolean;
  lastSeen: number;
  machines: readonly Machine[];
}

export interface Change {
  key: string;
  controllerId: string;
  relayId: number;
  machineType: MachineType;
  status: MachineStatus;
  previousStatus: MachineStatus | null;
  at: number;
}

/** A controller's absence that is over: from its last word to the one that it came back with. */
export interface Outage {
  from: number;
  to: number;
}

export interface Statistics {
  busyMs: number;
  busyShare: number;
  cycles: number;
}

/** One shop as the page knows it. Never changed in place: a new value is a new object. */
export interface Shop {
  storeId: string;
  controllers: readonly Controller[];
  /** Of each machine, oldest first. */
  history: ReadonlyMap<string, readonly Change[]>;
  /** Newest first, of all machines. */
  recent: readonly Change[];
  /** Of each controller, oldest first. */
  outages: ReadonlyMap<string, readonly Outage[]>;
  /** Today's, of each machine; undefined until they came. */
  statistics: ReadonlyMap<string, Statistics> | undefined;
}

export const machineKey = (controllerId: string, relayId: number) => `${controllerId}/${relayId}`;

const RECENT_KEPT = 50;

export function emptyShop(storeId: string): Shop {
  return {
    storeId,
    controllers: [],
    history: new Map(),
    recent: [],
    outages: new Map(),
    statistics: undefined,
  };
}

/** The shop after one message of its live feed. Types that this page does not know change nothing. */
export function applyMessage(shop: Shop, message: LaundryMessage): Shop {
  switch (message.type) {
    case 'snapshot':
      return applySnapshot(shop, message.data);
    case 'change':
      return applyChange(shop, changeOf(message.data));
    case 'controller':
      return applyLiveness(
        shop,
        message.data.controller_id,
        message.data.online,
        Date.parse(message.data.last_seen),
      );
    default:
      return shop;
  }
}

export function applySnapshot(shop: Shop, data: StoreWire): Shop {
  const controllers = data.controllers.map(controllerOf);
  return { ...shop, controllers: sortedControllers(controllers) };
}

function applyChange(shop: Shop, change: Change): Shop {
  const { controllerId, relayId, machineType, status, at } = change;
  const machine: Machine = {
    key: change.key,
    controllerId,
    relayId,
    machineType,
    status,
    lastStatus: status,
    since: at,
  };
  const known = shop.controllers.find((controller) => controller.controllerId === controllerId);
  const controller: Controller = known ?? { controllerId, online: true, lastSeen: at, machines: [] };
  const others = controller.machines.filter((other) => other.key !== machine.key);
  const machines = [...others, machine].sort((a, b) => a.relayId - b.relayId);
  return addChanges(replaceController(shop, { ...controller, machines }), [change]);
}

/** A controller that went away leaves its machines unknown; one that came back brings their last state again. */
export function applyLiveness(shop: Shop, controllerId: string, online: boolean, lastSeen: number): Shop {
  const known = shop.controllers.find((controller) => controller.controllerId === controllerId);
  const machines = (known?.machines ?? []).map((machine) => ({
    ...machine,
    status: online ? machine.lastStatus : ('unknown' as const),
  }));
  const back = online && known !== undefined && !known.online && lastSeen > known.lastSeen;
  const told = back ? addOutages(shop, controllerId, [{ from: known.lastSeen, to: lastSeen }]) : shop;
  return replaceController(told, {
    controllerId,
    online,
    lastSeen: Math.max(lastSeen, known?.lastSeen ?? 0),
    machines,
  });
}

/** Adds what the history says of controllers that came and went, in any order and any number of times. */
export function addLiveness(shop: Shop, items: readonly LivenessWire[]): Shop {
  const byController = new Map<string, { online: boolean; at: number }[]>();
  for (const { controller_id, online, at } of items) {
    const list = byController.get(controller_id) ?? [];
    byController.set(controller_id, list);
    list.push({ online, at: Date.parse(at) });
  }
  let added = shop;
  for (const [controllerId, list] of byController) {
    list.sort((a, b) => a.at - b.at);
    const outages = list.flatMap(({ online, at }, index) => {
      // Where the history begins with a return, its controller went away before.
      const before = list[index - 1] ?? { online: false, at: 0 };
      return online && !before.online ? [{ from: before.at, to: at }] : [];
    });
    added = addOutages(added, controllerId, outages);
  }
  return added;
}

/** One that comes from both sides, live and from the history, ends at the same word. */
function addOutages(shop: Shop, controllerId: string, outages: readonly Outage[]): Shop {
  if (outages.length === 0) return shop;
  const byEnd = new Map((shop.outages.get(controllerId) ?? []).map((outage) => [outage.to, outage]));
  for (const outage of outages) byEnd.set(outage.to, outage);
  const sorted = [...byEnd.values()].sort((a, b) => a.to - b.to);
  return { ...shop, outages: new Map(shop.outages).set(controllerId, sorted) };
}

/** Adds changes that came live or from the history, in any order and any number of times. */
export function addChanges(shop: Shop, changes: readonly Change[]): Shop {
  const history = new Map(shop.history);
  const fresh = new Map<string, Change[]>();
  for (const change of changes) {
    const list = fresh.get(change.key);
    if (list === undefined) fresh.set(change.key, [change]);
    else list.push(change);
  }
  for (const [key, list] of fresh) history.set(key, merged(history.get(key) ?? [], list));
  const recent = merged(shop.recent, changes).reverse().slice(0, RECENT_KEPT);
  return { ...shop, history, recent };
}

/** Drops what ended before `from`, but keeps of each machine the last change before it. */
export function forgetBefore(shop: Shop, from: number): Shop {
  const history = new Map<string, readonly Change[]>();
  for (const [key, list] of shop.history) {
    const firstInside = list.findIndex((change) => change.at >= from);
    const keepFrom = firstInside === -1 ? list.length - 1 : Math.max(0, firstInside - 1);
    history.set(key, keepFrom === 0 ? list : list.slice(keepFrom));
  }
  const outages = new Map(
    [...shop.outages].map(([controllerId, list]) => [controllerId, list.filter(({ to }) => to >= from)]),
  );
  return { ...shop, history, outages };
}

export function withStatistics(shop: Shop, items: readonly StatisticsWire[]): Shop {
  const statistics = new Map<string, Statistics>();
  for (const item of items) {
    statistics.set(machineKey(item.controller_id, item.relay_id), {
      busyMs: item.busy_s * 1000,
      busyShare: item.busy_share,
      cycles: item.cycles,
    });
  }
  return { ...shop, statistics };
}

export function changeOf(wire: ChangeWire): Change {
  return {
    key: machineKey(wire.controller_id, wire.relay_id),
    controllerId: wire.controller_id,
    relayId: wire.relay_id,
    machineType: wire.machine_type,
    status: wire.status,
    previousStatus: wire.previous_status,
    at: Date.parse(wire.last_updated),
  };
}

/** Oldest first, each machine's state at an instant once. */
function merged(old: readonly Change[], fresh: readonly Change[]): Change[] {
  const byInstant = new Map<string, Change>();
  for (const change of [...old, ...fresh]) byInstant.set(`${change.key}@${change.at}`, change);
  return [...byInstant.values()].sort((a, b) => a.at - b.at);
}

function controllerOf(wire: ControllerWire): Controller {
  return {
    controllerId: wire.controller_id,
    online: wire.online,
    lastSeen: Date.parse(wire.last_seen),
    machines: wire.machines
      .map((machine) => machineOf(wire.controller_id, machine))
      .sort((a, b) => a.relayId - b.relayId),
  };
}

function machineOf(controllerId: string, wire: MachineWire): Machine {
  return {
    key: machineKey(controllerId, wire.relay_id),
    controllerId,
    relayId: wire.relay_id,
    machineType: wire.machine_type,
    status: wire.status,
    lastStatus: wire.last_status ?? wire.status,
    since: Date.parse(wire.since),
  };
}

function replaceController(shop: Shop, controller: Controller): Shop {
  const others = shop.controllers.filter((other) => other.controllerId !== controller.controllerId);
  return { ...shop, controllers: sortedControllers([...others, controller]) };
}

function sortedControllers(controllers: Controller[]): Controller[] {
  return controllers.sort((a, b) => (a.controllerId < b.controllerId ? -1 : 1));
}
