// Somebody who roasts one batch after another at the machine of the tick; SIMULATE=1.
// In: ticks (msg.payload.machine_id), and what the machine says of itself. Out: what goes to the roast session.
// msg.payload.machine_id: the machine. All times are the machine's own.
const CHARGE_AT_S = 30;
const DEVELOPMENT_S = 105;
const COOLING_S = 60;
/** A batch takes no longer, whatever went wrong. */
const LONGEST_S = 20 * 60;
const WARM_C = 198;
/** Burner from a bean temperature on, after the turning point. */
const BURNER = [
  [200, 0.5],
  [190, 0.55],
  [175, 0.6],
  [155, 0.64],
  [130, 0.68],
  [-40, 0.72],
];

const begun = () => ({
  phase: '',
  left: false,
  charged: false,
  closed: false,
  crackedS: null,
  droppedS: null,
  burner: null,
});
const id = msg.machine_id || msg.payload.machine_id;
// A tick names the machine; what other machines say is none of ours.
const operated = msg.payload.type === undefined ? id : context.get('operated');
const batch = context.get('batch') || begun();
const send = (more) => node.send({ machine_id: id, ...more });
const set = (channel, value) => send({ control: { channel, value } });

/** Once in each phase: the answer takes its time. */
function order(command) {
  if (batch.ordered === batch.phase) return;
  batch.ordered = batch.phase;
  send({ command });
}

function roast({ timestamp_ms, bt }) {
  const seconds = timestamp_ms / 1000;
  if (batch.phase === 'monitoring') {
    if (bt !== null && bt > WARM_C && seconds > 20) order('start_recording');
    return;
  }
  if (!batch.charged && seconds > CHARGE_AT_S) {
    batch.charged = true;
    set('charge', 1);
  } else if (batch.charged && !batch.closed) {
    batch.closed = true;
    set('charge', 0);
  }
  if (batch.droppedS === null) {
    const warm = seconds > CHARGE_AT_S + 90 && bt !== null ? bt : -40;
    const [, burner] = BURNER.find(([from]) => warm >= from);
    if (batch.charged && burner !== batch.burner && (batch.burner === null || burner < batch.burner)) {
      batch.burner = burner;
      set('burner', burner);
    }
    const developed = batch.crackedS !== null && seconds > batch.crackedS + DEVELOPMENT_S;
    if (developed || seconds > LONGEST_S) {
      batch.droppedS = seconds;
      set('drop', 1);
      set('burner', 0.3);
    }
  } else if (seconds > batch.droppedS + COOLING_S) order('stop_recording');
}

function turn(state) {
  if (state !== batch.phase) {
    // A start of the gateway in the middle of a batch: the simulated beans are gone, and nobody goes on with it.
    batch.left = batch.phase === '' && state === 'recording';
    const fresh = state === 'monitoring' || state === 'idle';
    if (fresh) Object.assign(batch, begun());
    batch.phase = state;
    batch.since = Date.now();
    if (batch.left) order('stop_recording');
  }
  const rested = Date.now() - batch.since > 15000;
  if (state === 'idle' && Date.now() - batch.since > 1000) {
    set('charge', 0);
    set('drop', 0);
    set('burner', 0.5);
    set('airflow', 0.4);
    order('start_monitoring');
  } else if (state === 'finished' && rested) order('reset');
}

if (id === operated) {
  context.set('operated', operated);
  switch (msg.payload.type) {
    case 'temperature':
      if (!batch.left && (batch.phase === 'monitoring' || batch.phase === 'recording')) roast(msg.payload);
      break;
    case 'event':
      if (msg.payload.event_type === 'FCs') batch.crackedS = msg.payload.timestamp_ms / 1000;
      break;
    case 'state':
      turn(msg.payload.state);
      break;
    case undefined:
      send({ command: 'state' });
  }
  context.set('batch', batch);
}
