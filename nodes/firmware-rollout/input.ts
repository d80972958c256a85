import { isUuid } from '../../lib/core/envelope.js';
import { FieldloomError } from '../../lib/core/errors.js';
import type { StoredRollout } from '../../lib/firmware/ports.js';
import type { RolloutEvent } from '../../lib/firmware/rollout.js';
import type { Rollouts } from '../../lib/firmware/rollouts.js';

type Fields = Record<string, unknown>;

const ACTIONS = ['start', 'pause', 'resume', 'approve', 'cancel'] as const;
const ALL_ACTIONS = ['create', 'retry', ...ACTIONS];

function refuse(field: string, found: unknown, accepted: string): never {
  const shown = found === undefined ? 'missing' : JSON.stringify(found);
  throw new FieldloomError('invalid_input', `msg.${field} is ${shown}: accepted is ${accepted}`);
}

function objectOf(value: unknown, field: string): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields;
  return refuse(field, value, 'an object');
}

function textOf(fields: Fields, name: string, parent: string): string {
  const value = fields[name];
  return typeof value === 'string' && value !== '' ? value : refuse(`${parent}.${name}`, value, 'text');
}

function uuidOf(fields: Fields, name: string, parent: string): string {
  const value = fields[name];
  return isUuid(value) ? value.toLowerCase() : refuse(`${parent}.${name}`, value, 'a UUID');
}

const reasonOf = ({ reason }: Fields) => (typeof reason === 'string' && reason !== '' ? { reason } : {});

/** An answer of the gate: `{rollout_id, stage, pass, reason?}`. */
async function answerGate(rollouts: Rollouts, value: unknown): Promise<void> {
  const gate = objectOf(value, 'gate');
  const { stage, pass } = gate;
  if (!Number.isInteger(stage)) refuse('gate.stage', stage, 'the stage that was asked about');
  if (typeof pass !== 'boolean') refuse('gate.pass', pass, 'true or false');
  const event: RolloutEvent = { type: 'gate', stage: stage as number, pass, ...reasonOf(gate) };
  await rollouts.act(textOf(gate, 'rollout_id', 'gate'), event);
}

/** What runs on controllers: `{store_id, controller_id, firmware_version}`, or a list of them. */
async function reportInstalled(rollouts: Rollouts, value: unknown): Promise<void> {
  for (const each of Array.isArray(value) ? value : [value]) {
    const fields = objectOf(each, 'installed');
    const storeId = uuidOf(fields, 'store_id', 'installed');
    const controllerId = uuidOf(fields, 'controller_id', 'installed');
    const version = textOf(fields, 'firmware_version', 'installed');
    if (version.length > 64) refuse('installed.firmware_version', version, 'text of 64 characters at most');
    await rollouts.reportVersion(storeId, controllerId, version);
  }
}

/** `{action, rollout_id}`, or `{action: "create", …}` with the fields of a new rollout. */
async function command(rollouts: Rollouts, value: unknown): Promise<StoredRollout> {
  const { action, ...fields } = objectOf(value, 'rollout');
  if (action === 'create') return rollouts.create(fields, null);
  const rolloutId = () => textOf(fields, 'rollout_id', 'rollout');
  if (action === 'retry') return rollouts.retry(rolloutId());
  const type = ACTIONS.find((known) => known === action);
  if (type === undefined) return refuse('rollout.action', action, ALL_ACTIONS.join(', '));
  return rollouts.act(rolloutId(), { type, ...reasonOf(fields) });
}

/** The version that a machine-state node's snapshot names beside its machines; undefined where it names none. */
function versionOf(original: unknown): string | undefined {
  const { firmware_version: outer, payload } = (original ?? {}) as Fields & { payload?: Fields };
  const found = outer ?? payload?.['firmware_version'];
  return typeof found === 'string' && found !== '' && found.length <= 64 ? found : undefined;
}

/** What the machine-state node says of a controller: whether it is online, or a snapshot of it. */
async function hear(rollouts: Rollouts, message: Fields): Promise<boolean> {
  const payload = message['payload'] as Fields | null | undefined;
  if (typeof payload !== 'object' || payload === null || Buffer.isBuffer(payload)) return false;
  const { store_id: storeId, controller_id: controllerId, online } = payload;
  if (!isUuid(storeId) || !isUuid(controllerId)) return false;
  if (typeof online === 'boolean') {
    await rollouts.reportPresence(storeId.toLowerCase(), controllerId.toLowerCase(), online);
    return true;
  }
  if (message['original'] === undefined) return false;
  const version = versionOf(message['original']);
  if (version !== undefined) {
    await rollouts.reportVersion(storeId.toLowerCase(), controllerId.toLowerCase(), version);
  }
  return true;
}

/**
 * Takes a message of a flow that is not one of a controller's.
 * @returns true where it was one
 * @throws FieldloomError invalid_input, and what the rollouts refuse
 */
export async function takeInput(rollouts: Rollouts, message: Fields): Promise<boolean> {
  if (message['rollout'] !== undefined) await command(rollouts, message['rollout']);
  else if (message['gate'] !== undefined) await answerGate(rollouts, message['gate']);
  else if (message['installed'] !== undefined) await reportInstalled(rollouts, message['installed']);
  else return hear(rollouts, message);
  return true;
}
