import type { MqttClient } from 'mqtt';
import type { Clock, Timer } from '../core/clock.js';
import { FieldloomError } from '../core/errors.js';
import type { QoS } from '../core/link.js';
import type { Log } from '../core/log.js';
import { brokerFilter, brokerFilters, type WantedFilter } from './broker-filters.js';

interface Wanted extends WantedFilter {
  isRegistered: boolean;
  registered(): void;
  refused(error: FieldloomError): void;
}

export interface WantedSubscription {
  /** Fulfils when the broker has granted it. @throws FieldloomError subscribe_refused, link_closed */
  registered: Promise<void>;
  close(): void;
}

/**
 * How long a filter that nobody wants any more stays subscribed, ms. Nodes close one by one as the flows are deployed
 * or the gateway ends: what is published until they are back must find the session still subscribed, so that the broker
 * keeps it.
 */
const KEPT_MS = 30_000;

/** Keeps the broker's subscriptions in line with what is wanted here, over connections that come and go. */
export class BrokerSubscriptions {
  readonly #client: MqttClient;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #wanted = new Set<Wanted>();
  /** What the broker has granted in this session. */
  readonly #granted = new Map<string, QoS>();
  /** What it has refused on this connection. */
  readonly #refused = new Set<string>();
  #connected = false;
  #asking = false;
  /** Not wanted any more since a short while. */
  readonly #lingering = new Set<WantedFilter>();
  #timer: Timer | undefined;

  constructor(client: MqttClient, clock: Clock, log: Log) {
    this.#client = client;
    this.#clock = clock;
    this.#log = log;
  }

  /** @param sessionKnown the broker has kept the session, and with it what it has granted to this process */
  connected(sessionKnown: boolean): void {
    if (!sessionKnown) this.#granted.clear();
    this.#refused.clear();
    this.#connected = true;
    this.#synchronize();
  }

  disconnected(): void {
    this.#connected = false;
  }

  want(filter: WantedFilter): WantedSubscription {
    let entry: Wanted | undefined;
    const registered = new Promise<void>((resolve, refused) => {
      entry = { ...filter, isRegistered: false, registered: resolve, refused };
      this.#wanted.add(entry);
    });
    this.#synchronize();
    return {
      registered,
      close: () => {
        if (entry === undefined || !this.#wanted.delete(entry)) return;
        if (!entry.isRegistered) return this.#synchronize();
        this.#lingering.add(entry);
        this.#timer?.cancel();
        this.#timer = this.#clock.setTimer(() => {
          this.#lingering.clear();
          this.#synchronize();
        }, KEPT_MS);
      },
    };
  }

  close(): void {
    this.#connected = false;
    this.#timer?.cancel();
    for (const { refused } of this.#wanted) refused(new FieldloomError('link_closed', 'the link is closed'));
    this.#wanted.clear();
  }

  /** One step at a time; new ones first, so that nothing is missed. */
  #synchronize(): void {
    if (this.#asking || !this.#connected) return;
    const target = brokerFilters([...this.#wanted, ...this.#lingering]);
    const missing = [...target].find(
      ([filter, qos]) => this.#granted.get(filter) !== qos && !this.#refused.has(filter),
    );
    const surplus = [...this.#granted.keys()].find((filter) => !target.has(filter));
    if (missing !== undefined) this.#ask(...missing);
    else if (surplus !== undefined) this.#giveUp(surplus);
    else this.#registered();
  }

  #registered(): void {
    for (const entry of this.#wanted) {
      entry.isRegistered = true;
      entry.registered();
    }
  }

  #ask(filter: string, qos: QoS): void {
    this.#asking = true;
    this.#client.subscribe(filter, { qos }, (error, _granted, suback) => {
      this.#asking = false;
      const code = suback?.granted?.[0];
      if (typeof code === 'number' && code >= 0x80) this.#refuse(filter);
      else if (error === null || error === undefined) this.#granted.set(filter, qos);
      // Any other error is a lost connection: the next one asks again.
      else return;
      this.#synchronize();
    });
  }

  #giveUp(filter: string): void {
    this.#asking = true;
    this.#client.unsubscribe(filter, (error) => {
      this.#asking = false;
      if (error !== null && error !== undefined) return;
      this.#granted.delete(filter);
      this.#synchronize();
    });
  }

  /** Who has been registered before (on an earlier connection) stays so, and is asked for again on the next one. */
  #refuse(filter: string): void {
    const error = new FieldloomError('subscribe_refused', `the broker refuses a subscription to ${filter}`);
    this.#log.error(error.message);
    this.#refused.add(filter);
    for (const entry of [...this.#wanted]) {
      if (entry.isRegistered || brokerFilter(entry) !== filter) continue;
      this.#wanted.delete(entry);
      entry.refused(error);
    }
  }
}
