import type { FirstStep } from '../first-step.js';
import { firstSteps } from '../laundry-first-steps.js';
import { LaundryPage } from '../laundry-page.js';
import type { LaundryView } from '../laundry-view.js';
import { pagePorts } from './parts/page-ports.js';
import './elements/connection.js';
import './elements/first-steps.js';
import './elements/login.js';
import './elements/notices.js';
import './elements/refused.js';
import './elements/state-strip.js';
import './elements/user.js';

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
  const ports = pagePorts(root, () => page.returned());
  const page = new LaundryPage({
    ...ports,
    openFeed: (storeId, handlers) => ports.feed(`realtime/stores/${encodeURIComponent(storeId)}`, handlers),
    show,
  });
  return {
    page,
    steps: async () => firstSteps(await ports.broker(), Date.now()),
    close() {
      page.close();
      ports.leave();
    },
  };
}
