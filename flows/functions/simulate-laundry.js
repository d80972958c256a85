// A laundry's washers and dryers as customers use them. Once a second: who finishes, who starts?
// msg.payload: { washers, dryers, speed, goesAway }; speed 20 lets a minute of the shop pass in three seconds.
// Output 1: changes for a machine reporter. Output 2: connect and disconnect of a controller that goes away at times.
const { washers, dryers, speed = 20, goesAway = false } = msg.payload;

const MINUTE = 60000 / speed;
const now = Date.now();
const between = (low, high) => low + Math.random() * (high - low);

/** Share of the day's busiest hour: few customers at night, most at noon and in the early evening. */
function demand(hour) {
  if (hour < 6 || hour >= 23) return 0.2;
  return hour >= 10 && hour < 20 ? 1 : 0.6;
}

function firstState() {
  const machines = [];
  for (let relay = 1; relay <= washers + dryers; relay += 1) {
    const busy = Math.random() < 0.4;
    machines.push({
      relay_id: relay,
      machine_type: relay <= washers ? 'washer' : 'dryer',
      status: busy ? 'busy' : 'idle',
      busyUntil: busy ? now + between(2, 30) * MINUTE : 0,
    });
  }
  return { machines, wet: [], away: false, turn: now + between(3, 5) * 60000, tick: now };
}

const first = context.get('shop') === undefined;
const shop = context.get('shop') ?? firstState();
const passed = Math.min(now - shop.tick, 5000);
shop.tick = now;

const changed = [];
function set(machine, status, minutes) {
  machine.status = status;
  machine.busyUntil = minutes === undefined ? 0 : now + minutes * MINUTE;
  changed.push(machine);
}

/** Washed laundry waits a moment for its owner before it goes into a dryer. */
function takeWetLaundry() {
  const ready = shop.wet.findIndex((at) => at <= now);
  if (ready >= 0) shop.wet.splice(ready, 1);
  return ready >= 0;
}

const arrival = (demand(new Date(now).getHours()) * passed) / (20 * MINUTE);
for (const machine of shop.machines) {
  if (machine.status === 'busy') {
    if (now < machine.busyUntil) continue;
    set(machine, 'idle');
    if (machine.machine_type === 'washer') shop.wet.push(now + between(1, 6) * MINUTE);
  } else if (machine.machine_type === 'washer') {
    if (Math.random() < arrival) set(machine, 'busy', between(25, 45));
  } else if (takeWetLaundry()) {
    set(machine, 'busy', between(30, 50));
  }
}
// More baskets than dryers: the rest is taken home wet.
shop.wet = shop.wet.slice(-dryers);

let presence = null;
if (goesAway && now >= shop.turn) {
  shop.away = !shop.away;
  shop.turn = now + (shop.away ? between(3, 5) : between(6, 12)) * 60000;
  presence = { payload: { action: shop.away ? 'disconnect' : 'connect' } };
}

context.set('shop', shop);
const busy = shop.machines.filter(({ status }) => status === 'busy').length;
node.status({
  fill: shop.away ? 'red' : 'green',
  shape: shop.away ? 'ring' : 'dot',
  text: shop.away ? 'away' : `${busy} of ${shop.machines.length} busy`,
});
const reports = (first ? shop.machines : changed).map(({ relay_id, machine_type, status }) => ({
  payload: { relay_id, machine_type, status },
}));
node.send([reports, presence]);
