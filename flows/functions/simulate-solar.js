// The cleaning machines of one company: sun and clouds charge them, runs cost water and battery and clean area.
// A tick, once a second: msg.payload { company, machines: [{ id, dies, storms, hangs }] }. One that dies loses its power
// at times and is back after minutes, one that storms loses its radio again and again within seconds, one that hangs
// keeps its connection and says nothing. A message with msg.status tells whether a machine is connected, any other is a
// command, with the topic that it came on.
// Outputs: one a machine, in their order, to its mqtt out. The last one is for the thief of their connections: who
// connects under the id of another ends that one's connection without a word, so that the broker sends its last will.
const MINUTE = 60000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const TELEMETRY_MS = 10000;
/** Of each machine in a second. */
const PAST_ROWS = 10;
const now = Date.now();
const between = (low, high) => low + Math.random() * (high - low);
const rounded = (value, decimals) => Number(value.toFixed(decimals));
const fraction = (number) => number - Math.floor(number);

/** From 0 to 1, the same for the same instant: as irregular as weather, with so many minutes from one turn to the next. */
function whim(at, minutes, of) {
  const place = at / (minutes * MINUTE);
  const chance = (turn) => fraction(Math.sin(turn * 12.9898 + of * 78.233) * 43758.5453);
  const before = Math.floor(place);
  const smooth = (1 - Math.cos((place - before) * Math.PI)) / 2;
  return chance(before) * (1 - smooth) + chance(before + 1) * smooth;
}

const hourOf = (at) => {
  const date = new Date(at);
  return date.getHours() + date.getMinutes() / 60 + date.getSeconds() / 3600;
};

/** 0 from dusk to dawn, 1 at noon of a clear day; clouds pass over all machines, and darker ones over single ones. */
function sunlight(at, number) {
  const high = Math.sin(((hourOf(at) - 6) / 13) * Math.PI);
  if (high <= 0 || hourOf(at) > 19) return 0;
  const clouds = 1 - 0.75 * whim(at, 45, 1) * whim(at, 400, 2) - 0.15 * whim(at, 9, number + 3);
  return high * clouds;
}

/** What the sensors say. @param running from 0, at rest, to 1 */
function measured(at, number, { running, water, drawn }) {
  const light = sunlight(at, number);
  const charge = (1 + Math.cos(((hourOf(at) - 16) / 24) * 2 * Math.PI)) / 2;
  return {
    battery: rounded(12.3 + 1.4 * charge + 0.25 * light - 0.5 * running - drawn, 2),
    solar_v: rounded(light === 0 ? 0.3 : 17.6 + 3.9 * Math.sqrt(light) + 0.2 * whim(at, 5, number + 9), 2),
    solar_a: rounded(5.6 * light, 2),
    water: rounded(water, 1),
    extra: {
      temp: rounded(11 + 17 * charge + 4 * light + 6 * running + whim(at, 60, number + 20), 1),
      vibration: rounded(0.01 + running * (0.28 + 0.1 * whim(at, 2, number + 30)), 3),
    },
  };
}

/** Of a time when nobody watched: a run at dawn and one before dusk. */
function past(at, number) {
  const hour = hourOf(at) - 0.3 * whim(at, DAY / MINUTE, number);
  const run = [6.5, 16.5].find((start) => hour >= start && hour < start + 2);
  const water = run === undefined ? 96 : 96 - 35 * (hour - run);
  const values = { running: run === undefined ? 0 : 1, water, drawn: 0 };
  return { timestamp: new Date(at).toISOString(), ...measured(at, number, values) };
}

const state = context.get('state') ?? { machines: {}, connected: {} };
context.set('state', state);

function machineState(id, number) {
  state.machines[id] ??= {
    number,
    status: Math.random() < 0.4 ? 'Running' : 'Idle',
    speed: 5,
    mode: 'auto',
    turn: now + between(0.1, 2) * MINUTE,
    water: between(60, 98),
    drawn: 0,
    energy: between(40, 160),
    used: between(5, 25),
    area: between(100, 500),
    nextTelemetry: now + (number * TELEMETRY_MS) / 10,
    nextStatus: now,
    tick: now,
    trouble: 'none',
    troubleTurn: now + between(1, 2.5) * MINUTE,
    rounds: 0,
  };
  return state.machines[id];
}

const out = [];
const send = (index, message) => {
  out[index] ??= [];
  out[index].push(message);
};

function statusMessage(machine) {
  const { status, speed, mode, energy, used, area } = machine;
  const running = status === 'Running';
  machine.nextStatus = now + (running ? 15000 : 45000);
  const figures = { energy: rounded(energy, 1), water: rounded(used, 1), area: rounded(area, 1) };
  return { status, ...figures, ...(running && { speed, mode }) };
}

function become(machine, status, minutes) {
  machine.status = status;
  machine.turn = now + minutes * MINUTE;
  machine.nextStatus = now;
}

/** A second of work, or of rest. */
function step(machine) {
  const seconds = Math.min((now - machine.tick) / 1000, 60);
  machine.tick = now;
  if (machine.status === 'Running') {
    const effort = machine.speed / 5;
    machine.area += 0.9 * effort * seconds;
    machine.energy += 0.06 * effort * seconds;
    machine.used += 0.03 * effort * seconds;
    machine.water = Math.max(machine.water - 0.15 * effort * seconds, 0);
    machine.drawn = Math.min(machine.drawn + 0.001 * seconds, 0.5);
    if (now >= machine.turn || machine.water === 0) become(machine, 'Idle', between(1, 4));
  } else {
    machine.water = Math.min(machine.water + 0.8 * seconds, 98);
    machine.drawn = Math.max(machine.drawn - 0.002 * seconds, 0);
    if (now >= machine.turn) {
      machine.speed = Math.round(between(3, 8));
      machine.mode = 'auto';
      become(machine, 'Running', between(2, 5));
    }
  }
}

/** What goes wrong with it, one step a second. @param steal connects under its id, or leaves it again */
function suffer(machine, { dies, storms, hangs, connected }, act, steal) {
  const { trouble } = machine;
  if (trouble === 'none') {
    if (!(dies || storms || hangs) || now < machine.troubleTurn || !connected) return;
    machine.trouble = hangs ? 'silent' : 'cut';
    machine.rounds = storms ? 8 : 1;
    machine.troubleTurn = now + between(2, 3.5) * MINUTE;
    if (!hangs) steal('connect');
  } else if (trouble === 'cut') {
    act('disconnect');
    steal('disconnect');
    machine.trouble = 'away';
    // An MQTT node needs two seconds to let go of its connection.
    if (storms) machine.troubleTurn = now + 3000;
  } else if (trouble === 'away' && now >= machine.troubleTurn) {
    act('connect');
    machine.rounds -= 1;
    machine.trouble = machine.rounds > 0 ? 'again' : 'none';
    machine.troubleTurn = machine.rounds > 0 ? now + 1000 : now + between(5, 9) * MINUTE;
  } else if (trouble === 'again' && connected && now >= machine.troubleTurn) {
    machine.trouble = 'cut';
    steal('connect');
  } else if (trouble === 'silent' && now >= machine.troubleTurn) {
    machine.trouble = 'none';
    machine.troubleTurn = now + between(5, 9) * MINUTE;
  }
}

/** Newest first: a day by ten minutes, a month by two hours. */
function tellPast(machine, say) {
  machine.pastBegan ??= now;
  machine.pastAt ??= Math.floor(now / (10 * MINUTE)) * 10 * MINUTE;
  for (let row = 0; row < PAST_ROWS && machine.pastAt > machine.pastBegan - 30 * DAY; row += 1) {
    say('telemetry', past(machine.pastAt, machine.number));
    const size = machine.pastAt > machine.pastBegan - DAY ? 10 * MINUTE : 2 * HOUR;
    machine.pastAt = Math.floor((machine.pastAt - 1) / size) * size;
  }
}

function tick({ company, machines }) {
  for (const [index, traits] of machines.entries()) {
    const machine = machineState(traits.id, index + 1);
    const connected = state.connected[traits.id] === true;
    const say = (kind, payload) =>
      send(index, { topic: `company/${company}/machine/${traits.id}/${kind}`, payload });
    step(machine);
    suffer(
      machine,
      { ...traits, connected },
      (action) => send(index, { action }),
      (action) => send(machines.length, { action }),
    );
    if (!connected || machine.trouble === 'silent') continue;
    if (now >= machine.nextStatus) say('status', statusMessage(machine));
    if (now >= machine.nextTelemetry) {
      machine.nextTelemetry = now + TELEMETRY_MS;
      const running = machine.status === 'Running' ? machine.speed / 8 : 0;
      say('telemetry', measured(now, machine.number, { ...machine, running }));
    }
    if (env.get('FIELDLOOM_SIMULATED_SOLAR_PAST') === '1') tellPast(machine, say);
  }
  const there = machines.filter(({ id }) => state.connected[id]);
  const running = there.filter(({ id }) => state.machines[id].status === 'Running').length;
  const away = machines.length - there.length;
  const text = `${running} running, ${away} away`;
  node.status({ fill: away === 0 ? 'green' : 'yellow', shape: away === 0 ? 'dot' : 'ring', text });
}

/** Does what the gateway says, as far as it can: it acknowledges nothing, but its next status tells. */
function obey(machine, { command, params = {} }) {
  if (command === 'stop') become(machine, 'Idle', 3);
  else if (command === 'start_cleaning') {
    machine.speed = Math.min(Math.max(Number(params.speed) || 5, 1), 10);
    machine.mode = params.mode ?? 'auto';
    if (machine.water > 2) become(machine, 'Running', 6);
  }
}

if (msg.status !== undefined) {
  const { name } = msg.status.source;
  const connected = msg.status.fill === 'green';
  const machine = state.machines[name];
  if (connected && machine !== undefined) machine.nextStatus = now;
  state.connected[name] = connected;
} else if (msg.topic?.endsWith('/command')) {
  const machine = state.machines[msg.topic.split('/')[3]];
  if (machine !== undefined) obey(machine, msg.payload);
} else {
  tick(msg.payload);
}
if (out.length > 0) node.send(Array.from(out, (messages) => messages ?? null));
