import type { Clock } from '../lib/core/clock.js';
import type { Api } from './api.js';
import { RolloutTargets, type TargetFilter, type Targets } from './firmware-targets.js';
import type { DeploymentWire, FirmwareMessage, HistoryWire, RolloutWire } from './firmware-wire.js';
import type { FeedMessage, FeedState, LiveFeed } from './live-feed.js';
import { Repeat } from './repeat.js';

export type OpenRolloutFeed = (
  rolloutId: string,
  handlers: { onMessage(message: FeedMessage): void; onState(state: FeedState): void },
) => LiveFeed;

export interface FollowedRolloutPorts {
  api: Api;
  clock: Clock;
  openFeed: OpenRolloutFeed;
  failed(error: unknown): void;
  /** `shown` is another now. */
  changed(): void;
}

export interface ShownRollout {
  rolloutId: string;
  /** Undefined until it is known. */
  rollout: RolloutWire | undefined;
  history: readonly HistoryWire[];
  feed: FeedState;
  targets: Targets;
  /** The controller whose timeline is open, with its history where that has come. */
  opened: DeploymentWire | undefined;
  openedId: string | undefined;
}

/** A history is asked for again no more often. */
const HISTORY_MS = 1000;

/** The rollout that somebody looks at: its live feed, its controllers, and the one of them that is opened. */
export class FollowedRollout {
  shown: ShownRollout;
  private readonly ports: FollowedRolloutPorts;
  private readonly targets: RolloutTargets;
  private readonly feed: LiveFeed;
  private readonly histories: Repeat;
  private wantsHistory = true;
  private wantsOpened = false;
  private snapshots = 0;
  private closed = false;

  constructor(rolloutId: string, known: RolloutWire | undefined, ports: FollowedRolloutPorts) {
    this.ports = ports;
    const { api, clock, failed } = ports;
    this.targets = new RolloutTargets(rolloutId, {
      ...{ api, clock, failed },
      changed: () => this.change({ targets: this.targets.shown }),
    });
    this.shown = {
      ...{ rolloutId, rollout: known, history: [], opened: undefined, openedId: undefined },
      feed: { kind: 'connecting' },
      targets: this.targets.shown,
    };
    this.histories = new Repeat(
      clock,
      () => HISTORY_MS,
      () => this.loadHistories(),
    );
    this.feed = ports.openFeed(rolloutId, {
      onMessage: (message) => this.take(message as unknown as FirmwareMessage),
      onState: (feed) => this.change({ feed }),
    });
    this.targets.begin();
    this.targets.follow();
    this.histories.now();
  }

  filter(filter: Partial<TargetFilter>): void {
    this.targets.filter(filter);
  }

  more(): void {
    this.targets.more();
  }

  /** @param deploymentId undefined: closes it */
  open(deploymentId: string | undefined): void {
    this.change({ openedId: deploymentId, opened: undefined });
    this.wantsOpened = deploymentId !== undefined;
    if (this.wantsOpened) this.histories.now();
  }

  /** What the gateway has answered to a press. */
  answered(rollout: RolloutWire): void {
    this.change({ rollout, ...(rollout.history && { history: rollout.history }) });
  }

  answeredDeployment(deployment: DeploymentWire): void {
    if (deployment.id === this.shown.openedId) this.change({ opened: deployment });
    this.targets.take(deployment);
  }

  /** There are other deployments now: those that are tried again. */
  retried(): void {
    this.targets.begin();
  }

  hurry(): void {
    this.feed.hurry();
    this.histories.now();
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
    this.targets.close();
    this.histories.stop();
  }

  private take(message: FirmwareMessage): void {
    switch (message.type) {
      case 'snapshot':
        // What has changed while the feed was away is only in the list.
        if (this.snapshots > 0) this.targets.begin();
        this.snapshots += 1;
        this.wantsHistory = true;
        this.change({ rollout: message.data });
        return;
      case 'rollout': {
        const { rollout } = this.shown;
        const { state, stage, waits_for } = message.data;
        if (rollout?.state !== state || rollout.stage !== stage || rollout.waits_for !== waits_for) {
          this.wantsHistory = true;
        }
        this.change({ rollout: message.data });
        return;
      }
      case 'deployment':
        this.targets.take(message.data);
        if (message.data.id === this.shown.openedId) this.wantsOpened = true;
    }
  }

  private async loadHistories(): Promise<void> {
    const { api, failed } = this.ports;
    const { rolloutId, openedId } = this.shown;
    const [history, opened] = [this.wantsHistory, this.wantsOpened && openedId !== undefined];
    this.wantsHistory = false;
    this.wantsOpened = false;
    try {
      if (history) this.answered((await api.request(`firmware/rollouts/${rolloutId}`)) as RolloutWire);
      if (opened) {
        const found = (await api.request(`firmware/deployments/${openedId}`)) as DeploymentWire;
        if (found.id === this.shown.openedId) this.change({ opened: found });
      }
    } catch (error) {
      this.wantsHistory ||= history;
      this.wantsOpened ||= opened;
      if (!this.closed) failed(error);
    }
  }

  private change(part: Partial<ShownRollout>): void {
    if (this.closed) return;
    this.shown = { ...this.shown, ...part };
    this.ports.changed();
  }
}
