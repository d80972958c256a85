import type { FirstStep } from '../first-step.js';
import { overviewFirstSteps } from '../overview-first-steps.js';
import { OverviewPage } from '../overview-page.js';
import type { OverviewView } from '../overview-view.js';
import { pagePorts } from './parts/page-ports.js';
import './elements/connection.js';
import './elements/curve.js';
import './elements/first-steps.js';
import './elements/login.js';
import './elements/notices.js';
import './elements/refused.js';
import './elements/user.js';

export { LOGIN_STEP } from '../pond-first-steps.js';

export interface OpenOverview {
  page: OverviewPage;
  /** What to do while nothing is connected. */
  steps(): Promise<FirstStep[]>;
  close(): void;
}

/**
 * Opens the page's logic in a browser.
 * @param root path under which the gateway serves REST, for example `/`
 * @param show is handed each new view: frozen data, ready to be drawn
 */
export function openOverview(root: string, show: (view: OverviewView) => void): OpenOverview {
  const ports = pagePorts(root, () => page.returned());
  const page = new OverviewPage({ ...ports, show });
  return {
    page,
    steps: async () => overviewFirstSteps(await ports.broker(), Date.now()),
    close() {
      page.close();
      ports.leave();
    },
  };
}
