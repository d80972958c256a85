import type { FeedMessage, FeedState, LiveFeed } from './live-feed.js';
import { applyMessage, emptyFleet, type Fleet } from './solar-fleet.js';
import type { SolarMessage } from './solar-wire.js';

export type OpenCompanyFeed = (
  companyId: string,
  handlers: { onMessage(message: FeedMessage): void; onState(state: FeedState): void },
) => LiveFeed;

export interface FollowedCompanyPorts {
  openFeed: OpenCompanyFeed;
  /** `shown` is another now. @param message what came, where that was the cause */
  changed(message: SolarMessage | undefined): void;
}

export interface ShownCompany {
  fleet: Fleet;
  feed: FeedState;
  /** Its machines are known. */
  loaded: boolean;
}

/** One company of the page: all its machines on one live feed. */
export class FollowedCompany {
  shown: ShownCompany;
  private readonly ports: FollowedCompanyPorts;
  private readonly feed: LiveFeed;
  private closed = false;

  constructor(companyId: string, ports: FollowedCompanyPorts) {
    this.ports = ports;
    this.shown = { fleet: emptyFleet(companyId), feed: { kind: 'connecting' }, loaded: false };
    this.feed = ports.openFeed(companyId, {
      onMessage: (message) => this.take(message as unknown as SolarMessage),
      onState: (feed) => this.change({ feed }),
    });
  }

  /** Tries at once where it waits for its next attempt. */
  hurry(): void {
    this.feed.hurry();
  }

  resume(): void {
    this.feed.resume();
  }

  doubt(): void {
    this.feed.doubt();
  }

  close(): void {
    this.closed = true;
    this.feed.close();
  }

  private take(message: SolarMessage): void {
    const loaded = this.shown.loaded || message.type === 'snapshot';
    this.change({ fleet: applyMessage(this.shown.fleet, message), loaded }, message);
  }

  private change(part: Partial<ShownCompany>, message?: SolarMessage): void {
    if (this.closed) return;
    this.shown = { ...this.shown, ...part };
    this.ports.changed(message);
  }
}
