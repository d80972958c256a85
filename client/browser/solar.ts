import type { FirstStep } from '../first-step.js';
import { solarFirstSteps } from '../solar-first-steps.js';
import { SolarPage } from '../solar-page.js';
import type { SolarView } from '../solar-view.js';
import { pagePorts } from './parts/page-ports.js';
import './elements/connection.js';
import './elements/curve.js';
import './elements/first-steps.js';
import './elements/login.js';
import './elements/notices.js';
import './elements/user.js';

export { fill, formOf, initialEntries, OTHER } from '../solar-form.js';
export { moveFocus } from './parts/tile-keys.js';

export interface OpenSolar {
  page: SolarPage;
  /** What to do while there is no machine. */
  steps(): Promise<FirstStep[]>;
  close(): void;
}

/**
 * Opens the page's logic in a browser.
 * @param root path under which the gateway serves REST, for example `/`
 * @param show is handed each new view: frozen data, ready to be drawn
 */
export function openSolar(root: string, show: (view: SolarView) => void): OpenSolar {
  const ports = pagePorts(root, () => page.returned());
  const page = new SolarPage({
    ...ports,
    openFeed: (companyId, handlers) =>
      ports.feed(`realtime/companies/${encodeURIComponent(companyId)}`, handlers),
    show,
  });
  return {
    page,
    steps: async () => solarFirstSteps(await ports.broker()),
    close() {
      page.close();
      ports.leave();
    },
  };
}
