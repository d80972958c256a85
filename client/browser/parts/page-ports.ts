import { Api } from '../../api.js';
import type { BrokerAddress } from '../../first-step.js';
import { type FeedMessage, type FeedState, LiveFeed } from '../../live-feed.js';
import { browserClock } from './browser-clock.js';
import { connectivity } from './connectivity.js';
import { followScheme } from './scheme.js';
import { sendFile } from './send-file.js';

export interface FeedHandlers {
  onMessage(message: FeedMessage): void;
  onState(state: FeedState): void;
}

/** What every page of ours needs of the browser and of the gateway that served it. */
export interface PagePorts {
  api: Api;
  clock: typeof browserClock;
  /** @param path below the root, encoded */
  feed(path: string, handlers: FeedHandlers): LiveFeed;
  visible(): boolean;
  /** Where machines reach the gateway's broker. */
  broker(): Promise<BrokerAddress>;
  /** Gives the document back. */
  leave(): void;
}

/**
 * @param root path under which the gateway serves REST, for example `/`
 * @param returned called when the page became visible, or the device has its network back
 */
export function pagePorts(root: string, returned: () => void): PagePorts {
  const rest = new URL(root, location.origin).href;
  const api = new Api({ root: rest, storage: sessionStorage, sendFile });
  const stopListening = connectivity.listen({ returned, lost: () => {} });
  const leaveScheme = followScheme();
  return {
    api,
    clock: browserClock,
    feed: (path, handlers) =>
      new LiveFeed({
        url: `${rest.replace(/^http/, 'ws')}${path}`,
        clock: browserClock,
        connect: (url) => new WebSocket(url),
        ticket: () => api.ticket(),
        connectivity,
        ...handlers,
      }),
    visible: () => document.visibilityState === 'visible',
    async broker() {
      // Where the usual port was taken, the gateway has another.
      const health = (await api.request('health').catch(() => undefined)) as
        | { mqtt_port?: number }
        | undefined;
      return { host: location.hostname, port: health?.mqtt_port ?? 1883 };
    },
    leave() {
      stopListening();
      leaveScheme();
    },
  };
}
