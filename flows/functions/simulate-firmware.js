// A controller's flash and power: what installs a firmware file, and what may go wrong with it.
// The start: msg.payload { installs, fails, keepsOld, losesPower, away: { first, gone, back } }, times in seconds. It
// installs in so many seconds; fails with this text; says that it has installed and keeps the old version; loses its
// power as a download begins; is away from its network, again and again. What has msg.firmware is a file to install or,
// where that is under way, the wish to cancel it; what else has a topic is the agent's progress.
// Output 1: to the firmware agent. Output 2: to the machine reporter.
const FIRST_VERSION = '1.0.0';
const state = context.get('state') ?? { version: FIRST_VERSION, powered: true, lost: new Set() };
context.set('state', state);

const after = (seconds, task) => setTimeout(task, seconds * 1000);
const tellVersion = () => node.send([null, { firmware_version: state.version }]);
const travel = (action) => node.send([null, { payload: { action } }]);

function show() {
  const busy =
    state.installing === undefined ? '' : `, installs ${state.installing.firmware.firmware_version}`;
  node.status({
    fill: state.powered ? 'green' : 'red',
    shape: state.powered ? 'dot' : 'ring',
    text: state.powered ? `${state.version}${busy}` : 'away',
  });
}

function leave(seconds, back) {
  state.powered = false;
  travel('disconnect');
  show();
  after(seconds, () => {
    state.powered = true;
    travel('connect');
    if (back !== undefined) back();
    show();
  });
}

function start(settings) {
  state.settings = settings;
  node.send([{ installed_version: state.version }, null]);
  tellVersion();
  const { away } = settings;
  if (away === undefined) return;
  const goes = () => leave(away.gone, () => after(away.back, goes));
  after(away.first, goes);
}

function answer(message, payload) {
  state.installing = undefined;
  node.send([{ ...message, payload }, null]);
}

/** A controller without power installs nothing: it goes on when that is back. */
function install(message) {
  state.installing = message;
  const { installs = 10, fails, keepsOld = false } = state.settings;
  state.timer = after(installs, () => {
    if (!state.powered) {
      install(message);
      return;
    }
    if (fails !== undefined) answer(message, { success: false, errors: [fails] });
    else {
      if (!keepsOld) state.version = message.firmware.firmware_version;
      answer(message, { success: true });
      tellVersion();
    }
    show();
  });
}

function cancel(message) {
  clearTimeout(state.timer);
  answer(message, { cancelled: true });
}

/** Once for each deployment: with its power back it goes on. */
function progress({ deployment_id: id, state: phase }) {
  const { losesPower } = state.settings ?? {};
  if (losesPower === undefined || phase !== 'downloading' || state.lost.has(id)) return;
  state.lost.add(id);
  leave(losesPower);
}

if (msg.firmware !== undefined) {
  const same = state.installing?.firmware.deployment_id === msg.firmware.deployment_id;
  if (same) cancel(msg);
  else install(msg);
} else if (msg.topic === 'progress') progress(msg.payload);
else start(msg.payload);
show();
