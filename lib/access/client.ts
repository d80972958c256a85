import { randomBytes } from 'node:crypto';
import { FieldloomError } from '../core/errors.js';
import { isTopicLevel } from '../core/topic.js';
import type { MqttPrincipal } from './principal.js';
import type { MqttRole } from './topics.js';

type WithoutUsername<T> = T extends unknown ? Omit<T, 'username'> : never;

/** Whom an MQTT login is for: a principal that has no login yet. */
export type ClientIdentity = WithoutUsername<MqttPrincipal>;

/** A login as it is listed: everything but the password. */
export interface Client {
  principal: MqttPrincipal;
  /** Epoch milliseconds UTC. */
  createdAt: number;
  /** When the password was made: at the beginning or by a rotation. */
  changedAt: number;
}

/** A login with its password: shown once, stored nowhere. */
export interface Login {
  username: string;
  password: string;
}

export const ROLES: readonly MqttRole[] = ['machine', 'controller', 'device', 'service'];

/** The ids that a role wants, by their names outside (REST, command line). */
export const ROLE_IDS = {
  machine: ['company_id', 'machine_id'],
  controller: ['store_id', 'controller_id'],
  device: ['device_id'],
  service: [],
} as const satisfies Record<MqttRole, readonly string[]>;

const ALL_IDS: readonly string[] = ['company_id', 'machine_id', 'store_id', 'controller_id', 'device_id'];
/** What fits a key of every database. */
const LONGEST_ID = 255;
/** Cannot be written in UTF-8. */
const LONE_SURROGATE = /\p{Surrogate}/u;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** The seeds write store and controller ids as UUIDs. */
export const isUuid = (value: string) => UUID.test(value);

function bad(name: string, value: unknown, accepted: string): FieldloomError {
  const found = value === undefined ? 'is missing' : `is ${JSON.stringify(value)}`;
  return new FieldloomError('invalid_input', `${name} ${found}: accepted is ${accepted}`, {
    pointer: `/${name}`,
  });
}

function id(name: string, value: unknown): string {
  if (typeof value !== 'string' || !isTopicLevel(value) || LONE_SURROGATE.test(value)) {
    throw bad(name, value, 'text without +, #, / and control characters');
  }
  if ([...value].length > LONGEST_ID) throw bad(name, value, `at most ${LONGEST_ID} characters`);
  return value;
}

function uuid(name: string, value: unknown): string {
  if (typeof value !== 'string' || !isUuid(value)) throw bad(name, value, 'a UUID');
  return value;
}

/**
 * Checks whom a login is to be for.
 * @param fields `role` and its ids by their outside names
 * @param nameOf how a field is called where the user wrote it, for the error
 * @throws FieldloomError invalid_input, with the field
 */
export function clientIdentity(
  fields: Readonly<Record<string, unknown>>,
  nameOf: (field: string) => string = (field) => field,
): ClientIdentity {
  const role = fields['role'] as MqttRole;
  if (!ROLES.includes(role)) throw bad(nameOf('role'), fields['role'], ROLES.join(', '));
  const wanted: readonly string[] = ROLE_IDS[role];
  for (const name of ALL_IDS) {
    if (fields[name] !== undefined && !wanted.includes(name)) {
      const accepted = wanted.length === 0 ? 'no id' : wanted.map(nameOf).join(' and ');
      throw new FieldloomError(
        'invalid_input',
        `${nameOf(name)} does not belong to role ${role}: accepted is ${accepted}`,
        { pointer: `/${name}` },
      );
    }
  }
  const plain = (name: string) => id(nameOf(name), fields[name]);
  const unique = (name: string) => uuid(nameOf(name), fields[name]);
  switch (role) {
    case 'machine':
      return { role, company: plain('company_id'), machine: plain('machine_id') };
    case 'controller':
      return { role, storeId: unique('store_id'), controllerId: unique('controller_id') };
    case 'device':
      return { role, device: plain('device_id') };
    case 'service':
      return { role };
  }
}

/** The ids of a principal by their outside names. */
export function outsideIds(principal: ClientIdentity): Record<string, string> {
  switch (principal.role) {
    case 'machine':
      return { company_id: principal.company, machine_id: principal.machine };
    case 'controller':
      return { store_id: principal.storeId, controller_id: principal.controllerId };
    case 'device':
      return { device_id: principal.device };
    case 'service':
      return {};
  }
}

/** A login for REST and the command line. */
export function describeClient(client: Client) {
  return {
    username: client.principal.username,
    role: client.principal.role,
    ...outsideIds(client.principal),
    created_at: new Date(client.createdAt).toISOString(),
    changed_at: new Date(client.changedAt).toISOString(),
  };
}

const SUFFIX_LETTERS = 'abcdefghjkmnpqrstuvwxyz23456789';

/** Readable, safe in every place a user name appears, and unlike every other: `controller-6ba7b810-x4k2mf`. */
export function newUsername(identity: ClientIdentity): string {
  const about = {
    machine: 'machine' in identity ? identity.machine : '',
    controller: 'controllerId' in identity ? identity.controllerId.slice(0, 8) : '',
    device: 'device' in identity ? identity.device : '',
    service: '',
  }[identity.role];
  const short = about
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .slice(0, 20)
    .replaceAll(/^-+|-+$/g, '');
  // 31 letters of 256 byte values: the slight preference for some of them does not matter, it is no secret.
  const suffix = [...randomBytes(6)].map((byte) => SUFFIX_LETTERS[byte % SUFFIX_LETTERS.length]).join('');
  return [identity.role, short, suffix].filter((part) => part !== '').join('-');
}
