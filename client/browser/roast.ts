import { RoastConnection } from '../roast-connection.js';
import { eventOfKey } from '../roast-marks.js';
import { RoastPage } from '../roast-page.js';
import type { RoastView } from '../roast-view.js';
import { beep } from './parts/beep.js';
import { browserClock } from './parts/browser-clock.js';
import { connectivity } from './parts/connectivity.js';
import { isTyping } from './parts/event-keys.js';
import { keepFile } from './parts/keep-file.js';
import { pagePorts } from './parts/page-ports.js';
import './elements/connection.js';
import './elements/first-steps.js';
import './elements/login.js';
import './elements/notices.js';
import './elements/roast-chart.js';
import './elements/user.js';

export {
  ALARM_EVENTS,
  ALARM_KINDS,
  alarmProblem,
  draftOfAlarm,
  newAlarm,
} from '../roast-alarm-draft.js';
export { DRIVERS, draftOfMachine, machineProblem, newMachine } from '../roast-machine-draft.js';
export { roastTime } from '../roast-units.js';

export interface OpenRoast {
  page: RoastPage;
  close(): void;
}

/**
 * Opens the page's logic in a browser. The keys 1 to 8 mark events, unless somebody is typing.
 * @param root path under which the gateway serves REST, for example `/`
 * @param show is handed each new view: frozen data, ready to be drawn
 */
export function openRoast(root: string, show: (view: RoastView) => void): OpenRoast {
  const ports = pagePorts(root, () => page.returned());
  const live = new URL(root, location.origin).href.replace(/^http/, 'ws');
  const clientId = ownId();
  const page = new RoastPage({
    ...ports,
    openFeed: (machineId, handlers) =>
      new RoastConnection({
        url: `${live}ws/live/${encodeURIComponent(machineId)}`,
        clock: browserClock,
        connect: (url) => new WebSocket(url),
        ticket: () => ports.api.ticket(),
        connectivity,
        clientId,
        ...handlers,
      }),
    preferences: localStorage,
    show,
    sound: beep,
    keepFile,
  });
  const press = (event: KeyboardEvent) => {
    const type = eventOfKey(event.key);
    if (type === undefined || event.repeat || isTyping(event)) return;
    event.preventDefault();
    page.markByKey(type);
  };
  document.addEventListener('keydown', press);
  return {
    page,
    close() {
      document.removeEventListener('keydown', press);
      page.close();
      ports.leave();
    },
  };
}

const KEY = 'fieldloom.client';

/** The same for this tab after a reload, so that it keeps the control lock. */
function ownId(): string {
  const known = sessionStorage.getItem(KEY);
  if (known !== null) return known;
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  const made = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  sessionStorage.setItem(KEY, made);
  return made;
}
