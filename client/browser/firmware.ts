import { firmwareFirstSteps, type Missing } from '../firmware-first-steps.js';
import { FirmwarePage } from '../firmware-page.js';
import type { FirmwareView } from '../firmware-view.js';
import type { FirstStep } from '../first-step.js';
import { pagePorts } from './parts/page-ports.js';
import './elements/connection.js';
import './elements/first-steps.js';
import './elements/login.js';
import './elements/notices.js';
import './elements/targets.js';
import './elements/user.js';

export { addStage, checkDraft, foundIn, newDraft, presetStages } from '../firmware-draft.js';
export { ADMIN_STEP } from '../firmware-first-steps.js';
export { uploadProblem, versionOfName } from '../firmware-images.js';

export interface OpenFirmware {
  page: FirmwarePage;
  /** What to do while there is no rollout. */
  steps(missing: Missing): Promise<FirstStep[]>;
  close(): void;
}

/**
 * Opens the page's logic in a browser.
 * @param root path under which the gateway serves REST, for example `/`
 * @param show is handed each new view: frozen data, ready to be drawn
 */
export function openFirmware(root: string, show: (view: FirmwareView) => void): OpenFirmware {
  const ports = pagePorts(root, () => page.returned());
  const page = new FirmwarePage({
    ...ports,
    openFeed: (rolloutId, handlers) =>
      ports.feed(`realtime/firmware/${encodeURIComponent(rolloutId)}`, handlers),
    show,
  });
  return {
    page,
    steps: async (missing) =>
      firmwareFirstSteps(missing, await ports.broker(), new URL(root, location.origin).href, Date.now()),
    close() {
      page.close();
      ports.leave();
    },
  };
}
