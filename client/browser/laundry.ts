import { Api } from '../api.js';
import { type FirstStep, firstSteps } from '../laundry-first-steps.js';
import { LaundryPage } from '../laundry-page.js';
import type { LaundryView } from '../laundry-view.js';
import { LiveFeed } from '../live-feed.js';
import { browserClock } from './parts/browser-clock.js';
import { connectivity } from './parts/connectivity.js';
import { followScheme } from './parts/scheme.js';
import './elements/state-strip.js';

export { copyText } from './parts/copy.js';
export { moveFocus } from './parts/tile-keys.js';

export interface OpenLaundry {
  page: LaundryPage;
  /** What to do while there is no shop. */
  steps(): Promise<FirstStep[]>;
  close(): void;
}

/**
 * Opens the page's logic in a browser.
 * @param root path under which the gateway serves REST, for example `/`
 * @param show is handed each new view: frozen data, ready to be drawn
 */
export function openLaundry(root: string, show: (view: LaundryView) => void): OpenLaundry {
  const rest = new URL(root, location.origin).href;
  const api = new Api({ root: rest, storage: sessionStorage });
  const page = new LaundryPage({
    api,
    clock: browserClock,
    openFeed: (storeId, handlers) =>
      new LiveFeed({
        url: `${rest.replace(/^http/, 'ws')}realtime/stores/${encodeURIComponent(storeId)}`,
        clock: browserClock,
        connect: (url) => new WebSocket(url),
        ticket: () => api.ticket(),
        connectivity,
        ...handlers,
      }),
    show,
    visible: () => document.visibilityState === 'visible',
  });
  const stopListening = connectivity.listen({ returned: () => page.returned(), lost: () => {} });
  const leaveScheme = followScheme();
  return {
    page,
    async steps() {
      // Where the usual port was taken, the gateway has another.
      const health = (await api.request('health').catch(() => undefined)) as
        | { mqtt_port?: number }
        | undefined;
      return firstSteps({ host: location.hostname, port: health?.mqtt_port ?? 1883 }, Date.now());
    },
    close() {
      page.close();
      stopListening();
      leaveScheme();
    },
  };
}
