import type { NodeMessage } from 'node-red';
import { FieldloomError } from '../../lib/core/errors.js';
import { EVENT_TYPES } from '../../lib/roast/event.js';
import type { FlowDriver } from '../../lib/roast/flow-driver.js';
import type { RoastMachine } from '../../lib/roast/machine.js';
import { toCelsius } from '../../lib/roast/reading.js';
import type { Roastery } from '../../lib/roast/roastery.js';
import type { SessionAction } from '../../lib/roast/session.js';
import { timeOfMessage } from '../../lib/roast/temperature-input.js';

export type Message = NodeMessage & Record<string, unknown>;

/** Asks for the state of the session, which leaves by the second output. */
const ASK = 'state';
const ACTIONS: readonly SessionAction[] = ['start_monitoring', 'start_recording', 'stop_recording', 'reset'];
/** A reading that claims to be older is one of a wrong clock. */
const OLDEST_MS = 10_000;

const refuse = (name: string, value: unknown, accepted: string) =>
  new FieldloomError(
    'invalid_input',
    `msg.${name} is ${JSON.stringify(value)?.slice(0, 60) ?? 'missing'}: accepted is ${accepted}`,
  );

/** The machine that a message names, or the only one there is. @throws FieldloomError invalid_input, not_found */
export function machineOfMessage(roastery: Roastery, message: Message): RoastMachine {
  const id = message['machine_id'];
  if (typeof id === 'string' && id !== '') return roastery.machine(id);
  const [only, ...others] = roastery.machines();
  if (only !== undefined && others.length === 0) return only;
  throw refuse('machine_id', id, 'the id of a machine');
}

/**
 * What a flow says to a machine: readings, events of a sensor, commands, controls.
 * @throws FieldloomError invalid_input; conflict where the session refuses the command
 */
export async function takeMessage(
  machine: RoastMachine,
  driver: FlowDriver | undefined,
  message: Message,
  now: { epochMs: number; steadyMs: number },
): Promise<void> {
  const { command, event, control } = message;
  if (command !== undefined) return act(machine, command);
  if (control !== undefined) return set(machine, control);
  if (event !== undefined) notice(machine, event);
  if (event === undefined || isReading(message.payload)) take(machine, driver, message, now);
}

const isReading = (payload: unknown): payload is Record<string, unknown> =>
  typeof payload === 'object' && payload !== null && ('bt' in payload || 'et' in payload);

function act(machine: RoastMachine, command: unknown): void {
  if (command === ASK) {
    machine.tellState();
    return;
  }
  const action = ACTIONS.find((each) => each === command);
  if (action === undefined) throw refuse('command', command, [...ACTIONS, ASK].join(', '));
  const refused = machine.act(action);
  if (refused !== undefined) throw new FieldloomError('conflict', refused);
}

function notice(machine: RoastMachine, event: unknown): void {
  const type = EVENT_TYPES.find((each) => each === event);
  if (type === undefined) throw refuse('event', event, EVENT_TYPES.join(', '));
  const refused = machine.command({ type: 'mark', event: type, source: 'detected' });
  if (refused !== undefined) throw new FieldloomError('conflict', refused);
}

async function set(machine: RoastMachine, control: unknown): Promise<void> {
  const { channel, value } = (control ?? {}) as { channel?: unknown; value?: unknown };
  if (typeof channel !== 'string' || typeof value !== 'number') {
    throw refuse('control', control, '{"channel":"burner","value":0.5}');
  }
  const outcome = await machine.set(channel, value);
  if (!outcome.applied) throw new FieldloomError('invalid_input', outcome.message);
}

function take(
  machine: RoastMachine,
  driver: FlowDriver | undefined,
  { payload, timestamp }: Message,
  { epochMs, steadyMs }: { epochMs: number; steadyMs: number },
): void {
  const { id, driver: kind, config } = machine.definition;
  if (driver === undefined) throw refuse('machine_id', id, `a machine whose driver is flow, not ${kind}`);
  if (!isReading(payload)) throw refuse('payload', payload, 'an object with bt, et or both');
  const unit = config.unit ?? 'C';
  const ageMs = epochMs - timeOfMessage(timestamp, epochMs);
  const { bt, et, ...others } = payload;
  const extra: Record<string, number | null> = {};
  for (const [name, value] of Object.entries(others)) {
    if (typeof value === 'number' && Number.isFinite(value)) extra[name] = value;
  }
  driver.take({
    takenMs: steadyMs - (ageMs > 0 && ageMs <= OLDEST_MS ? ageMs : 0),
    bt: toCelsius(bt, unit),
    et: toCelsius(et, unit),
    extra,
  });
}
