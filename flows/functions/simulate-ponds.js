// The ponds of one device, as a farm's day goes: oxygen falls at night and after a feed, temperature follows the sun,
// pH follows the oxygen. Every five seconds it measures; a heartbeat every 15 s; an alert where a limit is passed.
// A tick: msg.payload { device, firmware, ponds: [{ position, thresholds, weak }], blocked, silent }, where blocked is a
// share of the feeds, the pump of a weak pond fails at times, and a silent device loses its radio at times. A message
// with msg.command is a command of the device responder, one with msg.status tells whether the device is connected.
// Output 1: to be published. Output 2: answers for the device responder.
const MINUTE = 60000;
const HOUR = 60 * MINUTE;
const FEEDING_HOURS = [7, 12, 17];
const between = (low, high) => low + Math.random() * (high - low);
const rounded = (value, decimals) => Number(value.toFixed(decimals));
const fraction = (number) => number - Math.floor(number);

/** From -1 to 1, the same for the same instant: as irregular as weather, with so many minutes from one turn to the next. */
function whim(at, minutes, of) {
  const place = at / (minutes * MINUTE);
  const chance = (turn) => fraction(Math.sin(turn * 12.9898 + of * 78.233) * 43758.5453) * 2 - 1;
  const before = Math.floor(place);
  const smooth = (1 - Math.cos((place - before) * Math.PI)) / 2;
  return chance(before) * (1 - smooth) + chance(before + 1) * smooth;
}

/** From -1 long before dawn to 1 in the afternoon. */
function sun(at) {
  const date = new Date(at);
  return Math.cos(((date.getHours() + date.getMinutes() / 60 - 15) / 24) * 2 * Math.PI);
}

/** How far fish that eat draw the oxygen down, mg/L; greatest 25 minutes after the feed. */
function appetite(at) {
  const date = new Date(at);
  return FEEDING_HOURS.reduce((sum, hour) => {
    const gone = (date.getHours() + date.getMinutes() / 60 - hour) * 60;
    return gone < 0 ? sum : sum + 0.7 * (gone / 25) * Math.exp(1 - gone / 25);
  }, 0);
}

/** What a pond would have if nobody did anything. */
function calm({ position, weak = false }, at) {
  const oxygen = (weak ? 6.6 : 7.4) + 1.3 * sun(at) - appetite(at) + 0.25 * whim(at, 25, position);
  const temperature = 25.8 + 0.5 * position + 1.6 * sun(at - HOUR) + 0.2 * whim(at, 40, position);
  return { oxygen, temperature };
}

function measured(pond, at, { oxygen, temperature, turbidity = 18, water = 88, feed = 80 }) {
  return {
    pond_position: pond.position,
    timestamp: new Date(at).toISOString(),
    dissolved_oxygen: rounded(oxygen, 2),
    temperature: rounded(temperature, 2),
    ph: rounded(7.35 + 0.15 * (oxygen - 7) + 0.03 * whim(at, 30, pond.position + 2), 2),
    turbidity: rounded(turbidity + 3 * whim(at, 50, pond.position + 4), 1),
    water_level: rounded(water, 1),
    feed_level: rounded(feed, 1),
  };
}

const state = context.get('state') ?? { began: Date.now(), ponds: {}, raised: {}, held: [] };
context.set('state', state);
const now = Date.now();
const toPublish = [];
const say = (end, payload) => toPublish.push({ topic: `devices/${state.settings.device}/${end}`, payload });

function pondState({ position, weak = false }) {
  state.ponds[position] ??= {
    drawn: 0,
    cooled: 0,
    turbidity: 18,
    water: 88,
    feed: between(55, 90),
    valveUntil: 0,
    pumpTurn: now + (weak ? MINUTE : Infinity),
    pumpOff: false,
  };
  return state.ponds[position];
}

/** One step of a pond: what was fed and opened has its effect and wears off. */
function step(pond, seconds) {
  const own = pondState(pond);
  const towards = (value, target, tauS) => target + (value - target) * Math.exp(-seconds / tauS);
  if (now >= own.pumpTurn) {
    own.pumpOff = !own.pumpOff;
    own.pumpTurn = now + (own.pumpOff ? between(2, 4) : between(8, 15)) * MINUTE;
  }
  const open = now < own.valveUntil;
  own.drawn = towards(own.drawn, own.pumpOff ? 4.4 : open ? -0.6 : 0, own.pumpOff ? 60 : 240);
  own.cooled = towards(own.cooled, open ? 0.8 : 0, 300);
  own.turbidity = towards(own.turbidity, 18, 600);
  own.water = Math.min(Math.max(own.water + (open ? 0.02 : -0.0005) * seconds, 70), 98);
  const { oxygen, temperature } = calm(pond, now);
  return measured(pond, now, {
    oxygen: Math.max(oxygen - own.drawn, 0.5),
    temperature: temperature - own.cooled,
    turbidity: own.turbidity,
    water: own.water,
    feed: own.feed,
  });
}

/** Raised where a limit is passed, told again every minute, cleared where the value is well back. */
function watch(pond, values) {
  for (const [parameter, { min = -Infinity, max = Infinity }] of Object.entries(pond.thresholds)) {
    const value = values[parameter];
    const key = `${pond.position}/${parameter}`;
    const raised = state.raised[key];
    const message = { pond_position: pond.position, parameter, value, timestamp: values.timestamp };
    if (value < min || value > max) {
      if (raised !== undefined && now - raised < MINUTE) continue;
      state.raised[key] = now;
      const low = value < min;
      const severity = low && value < min * 0.85 ? 'critical' : 'warning';
      say('threshold', {
        ...message,
        limit: low ? min : max,
        severity,
        message: low ? 'Below the limit' : 'Above the limit',
      });
    } else if (raised !== undefined && value > min * 1.04 && value < max * 0.98) {
      delete state.raised[key];
      say('threshold', { ...message, cleared: true });
    }
  }
}

/** Yesterday and today, as a device sends it that had no network. */
function tellPast({ ponds }) {
  for (let at = now - 24 * HOUR; at < now; at += 5 * MINUTE) {
    for (const pond of ponds) say('data/sensors', measured(pond, at, calm(pond, at)));
  }
}

/** What the motor and the valve do. */
function carryOut(command, parameters) {
  const pond = state.settings.ponds.find(({ position }) => position === command.pond_position);
  if (pond === undefined) return { success: false, message: `no pond ${command.pond_position} here` };
  const own = pondState(pond);
  if (command.command_type === 'WATER_VALVE') {
    const open = parameters.action === 'open';
    own.valveUntil = open ? now + (parameters.duration_s ?? 86400) * 1000 : 0;
    return { success: true, message: open ? 'Valve opened' : 'Valve closed' };
  }
  if (Math.random() < (state.settings.blocked ?? 0))
    return { success: false, message: 'feeder motor blocked' };
  if (own.feed < 1) return { success: false, message: 'feed store is empty' };
  own.feed = Math.max(own.feed - parameters.amount / 200, 0);
  own.drawn = Math.min(own.drawn + parameters.amount * 0.004, 2);
  own.turbidity = Math.min(own.turbidity + parameters.amount * 0.05, 60);
  return { success: true, message: `${parameters.amount} g fed` };
}

function answer(message) {
  message.payload = carryOut(message.command, message.payload);
  node.send([null, message]);
}

function take(message) {
  // A radio that is away brings nothing in; what has come in just before is done when it is back.
  if (state.settings === undefined || state.away) state.held.push(message);
  else setTimeout(answer, between(900, 2400), message);
}

function heartbeat(firmware) {
  state.beat = now;
  const uptime = Math.round((now - state.began) / 1000);
  say('data/heartbeat', {
    firmware_version: firmware,
    uptime,
    free_heap: Math.round(between(178000, 186000)),
  });
  say('data/sensors', {
    timestamp: new Date(now).toISOString(),
    battery: rounded(84 + 9 * sun(now) + whim(now, 90, 9), 1),
    signal_strength: Math.round(between(-68, -60)),
  });
}

function tick(settings) {
  const first = state.settings === undefined;
  state.settings = settings;
  const { ponds, firmware, silent = false } = settings;
  state.turn ??= now + between(4, 6) * MINUTE;
  if (silent && now >= state.turn) {
    state.away = !state.away;
    state.turn = now + (state.away ? between(1.5, 3) : between(7, 12)) * MINUTE;
  }
  if (first) {
    say('data/startup', { firmware_version: firmware, reason: 'power' });
    if (env.get('FIELDLOOM_SIMULATED_PAST') === '1') tellPast(settings);
  }
  const seconds = Math.min((now - (state.tick ?? now)) / 1000, 60);
  state.tick = now;
  for (const pond of ponds) {
    const values = step(pond, seconds);
    if (state.away) continue;
    say('data/sensors', values);
    watch(pond, values);
  }
  if (state.away) return;
  for (const held of state.held.splice(0)) answer(held);
  if (first || now - state.beat >= 14000) heartbeat(firmware);
}

if (msg.status !== undefined) {
  state.connected = msg.status.fill === 'green';
} else if (msg.command !== undefined) {
  take(msg);
} else if (state.connected === true) {
  tick(msg.payload);
  const raised = Object.keys(state.raised).length;
  node.status({
    fill: state.away ? 'red' : 'green',
    shape: state.away ? 'ring' : 'dot',
    text: state.away ? 'away' : `${raised} alerts`,
  });
  node.send([toPublish, null]);
}
