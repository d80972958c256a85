import { Heap, type Place } from '../core/heap.js';

interface Waiting<T> {
  item: T;
  device: string;
  priority: number;
  order: number;
}

interface Device<T> {
  waiting: Heap<Waiting<T>>;
  inFlight: number;
}

export interface DeviceQueuesOptions<T> {
  /** Commands of one device that may be in flight at once. */
  limit: number;
  /** Whether anything may start now at all. */
  isOpen(): boolean;
  /** The item's turn has come: from now on it is in flight. */
  start(item: T): void;
}

/** Whose turn it is: greater priority first, then the order of coming, device by device. */
export interface DeviceQueues<T> {
  readonly waiting: number;
  readonly inFlight: number;
  /** Starts at once where the device is free. */
  add(item: T, device: string, priority: number): void;
  /** In flight already, by an earlier run. */
  addInFlight(item: T, device: string): void;
  /** It has ended, whether it waited or was in flight: the next one of its device may start. */
  remove(item: T): void;
  /** `isOpen` is true now. */
  opened(): void;
}

export function createDeviceQueues<T>({ limit, isOpen, start }: DeviceQueuesOptions<T>): DeviceQueues<T> {
  const devices = new Map<string, Device<T>>();
  const places = new Map<T, Place<Waiting<T>>>();
  const flying = new Map<T, string>();
  let order = 0;

  function deviceOf(name: string): Device<T> {
    let device = devices.get(name);
    if (device === undefined) {
      const waiting = new Heap<Waiting<T>>((a, b) =>
        a.priority === b.priority ? a.order < b.order : a.priority > b.priority,
      );
      device = { waiting, inFlight: 0 };
      devices.set(name, device);
    }
    return device;
  }

  function fill(name: string, device: Device<T>): void {
    while (device.inFlight < limit && device.waiting.size > 0 && isOpen()) {
      const { item } = device.waiting.take() as Waiting<T>;
      places.delete(item);
      flying.set(item, name);
      device.inFlight += 1;
      start(item);
    }
    if (device.inFlight === 0 && device.waiting.size === 0) devices.delete(name);
  }

  return {
    get waiting() {
      return places.size;
    },
    get inFlight() {
      return flying.size;
    },
    add(item, name, priority) {
      const device = deviceOf(name);
      order += 1;
      places.set(item, device.waiting.add({ item, device: name, priority, order }));
      fill(name, device);
    },
    addInFlight(item, name) {
      flying.set(item, name);
      deviceOf(name).inFlight += 1;
    },
    remove(item) {
      const place = places.get(item);
      const name = flying.get(item) ?? place?.item.device;
      const device = name === undefined ? undefined : devices.get(name);
      if (name === undefined || device === undefined) return;
      if (place !== undefined) {
        places.delete(item);
        device.waiting.remove(place);
      } else {
        flying.delete(item);
        device.inFlight -= 1;
      }
      fill(name, device);
    },
    opened() {
      for (const [name, device] of devices) fill(name, device);
    },
  };
}
