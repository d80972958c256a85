import type { FirstStep } from '../first-step.js';
import { pondFirstSteps } from '../pond-first-steps.js';
import type { PondsView } from '../pond-view.js';
import { PondsPage } from '../ponds-page.js';
import { pagePorts } from './parts/page-ports.js';
import './elements/connection.js';
import './elements/curve.js';
import './elements/first-steps.js';
import './elements/login.js';
import './elements/notices.js';
import './elements/user.js';

export { gramsWords, waterTitle } from '../pond-command.js';
export { LOGIN_STEP } from '../pond-first-steps.js';
export { amountOf } from '../pond-order.js';

export interface OpenPonds {
  page: PondsPage;
  /** What to do while a user has no pond. */
  steps(username: string): Promise<FirstStep[]>;
  close(): void;
}

/**
 * Opens the page's logic in a browser.
 * @param root path under which the gateway serves REST, for example `/`
 * @param show is handed each new view: frozen data, ready to be drawn
 */
export function openPonds(root: string, show: (view: PondsView) => void): OpenPonds {
  const ports = pagePorts(root, () => page.returned());
  const page = new PondsPage({
    ...ports,
    openFeed: (pondId, handlers) => ports.feed(`realtime/ponds/${pondId}`, handlers),
    show,
    newKey,
  });
  return {
    page,
    steps: async (username) => pondFirstSteps(username, await ports.broker()),
    close() {
      page.close();
      ports.leave();
    },
  };
}

/** A UUID also where the page is not served securely, which leaves out `crypto.randomUUID`. */
function newKey(): string {
  if (typeof crypto.randomUUID === 'function') return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return hex.replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, '$1-$2-$3-$4-$5');
}
