import type { CommandTables } from './command-tables.js';
import type { DeviceTables } from './device-tables.js';
import type { FirmwareTables } from './firmware-tables.js';
import type { RoastTables } from './roast-tables.js';
import type { SolarTables } from './solar-tables.js';

/**
 * The tables as Kysely sees them. Every time is epoch milliseconds UTC, every truth value 0 or 1, every id of a
 * growing table a UUID version 7 (ids.ts), so that the order of ids is the order of arrival.
 *
 * MQTT topics and filters may have 65,535 bytes, more than a key of MySQL can hold: where one is a key, the key is
 * a `..._key` column with its SHA-256 (`textKey` of ids.ts), beside the text itself.
 */
export interface Tables extends CommandTables, DeviceTables, FirmwareTables, RoastTables, SolarTables {
  laundry_controller: LaundryControllerTable;
  laundry_machine: LaundryMachineTable;
  laundry_state_change: LaundryStateChangeTable;
  laundry_liveness: LaundryLivenessTable;
  laundry_report: LaundryReportTable;
  firmware_image: FirmwareImageTable;
  firmware_agent: FirmwareAgentTable;
  message: MessageTable;
  dead_letter: DeadLetterTable;
  access_client: AccessClientTable;
  access_user: AccessUserTable;
  access_user_scope: AccessUserScopeTable;
  pond: PondTable;
  mqtt_retained: MqttRetainedTable;
  mqtt_will: MqttWillTable;
  mqtt_session: MqttSessionTable;
  mqtt_subscription: MqttSubscriptionTable;
  mqtt_outgoing: MqttOutgoingTable;
  mqtt_incoming: MqttIncomingTable;
  outbox: OutboxTable;
  setting: SettingTable;
  gateway: GatewayTable;
  gateway_task: GatewayTaskTable;
}

/** Key: store_id, controller_id. */
export interface LaundryControllerTable {
  store_id: string;
  controller_id: string;
  revision: number;
  last_seen: number;
  interval_ms: number;
  online: number;
}

/** Key: store_id, controller_id, relay_id. */
export interface LaundryMachineTable {
  store_id: string;
  controller_id: string;
  relay_id: number;
  machine_type: string | null;
  status: string;
  last_updated: number;
  since: number;
  busy_ms: number;
  cycles: number;
}

/** Append-only. Key: id. */
export interface LaundryStateChangeTable {
  id: string;
  store_id: string;
  controller_id: string;
  relay_id: number;
  machine_type: string | null;
  status: string;
  previous_status: string | null;
  duration_ms: number | null;
  last_updated: number;
  received_at: number;
}

/** Append-only: a controller came (online 1, by the message of `at`) or went (last heard `at`). Key: id. */
export interface LaundryLivenessTable {
  id: string;
  store_id: string;
  controller_id: string;
  online: number;
  at: number;
}

/** A reporter's queue on disk, oldest id first. Key: id. */
export interface LaundryReportTable {
  id: string;
  reporter: string;
  relay_id: number;
  machine_type: string | null;
  status: string;
  last_updated: number;
}

/** An image that a gateway serves; its file is `<id>.bin` in the gateway's folder. Key: id; version is unique. */
export interface FirmwareImageTable {
  id: string;
  version: string;
  file_size: number;
  /** MD5 in hex. */
  checksum: string;
  /** Hex. */
  sha256: string;
  /** Base64. */
  signature: string | null;
  created_at: number;
  created_by: string | null;
}

/** A deployment as a controller's agent knows it. Key: agent, deployment_id. */
export interface FirmwareAgentTable {
  /** `<storeId>/<controllerId>` */
  agent: string;
  deployment_id: string;
  status: string;
  /** JSON: what the command says of the image; null where no command of this deployment was accepted. */
  file: string | null;
  correlation_id: string | null;
  cancel_correlation_id: string | null;
  acknowledged: number;
  /** JSON: an array of text. */
  errors: string;
  fresh: number;
  deadline_at: number | null;
  accepted_at: number;
  updated_at: number;
  /** JSON: replies that no acknowledgement has reached. */
  replies: string;
  reply_count: number;
}

/** Append-only history of messages of all protocols. Key: id. */
export interface MessageTable {
  id: string;
  protocol: string;
  direction: string;
  topic: string;
  outcome: string;
  correlation_id: string | null;
  at: number;
}

/** Key: id. */
export interface DeadLetterTable {
  id: string;
  protocol: string;
  topic: string;
  code: string;
  message: string;
  pointer: string | null;
  payload: Uint8Array;
  /** SHA-256 in hex: finds the same bytes again. */
  payload_digest: string;
  /** Bytes of the payload: the bound on their sum needs no reading of blobs. */
  size: number;
  received_at: number;
}

/** An MQTT login. Key: username. Times in ms; salt and hash in base64; cost is scrypt's N. */
export interface AccessClientTable {
  username: string;
  role: string;
  store_id: string | null;
  controller_id: string | null;
  company: string | null;
  machine: string | null;
  device: string | null;
  salt: string;
  hash: string;
  cost: number;
  /** The password as Mosquitto's password file has it; null where the login is older than this column. */
  mosquitto_hash: string | null;
  created_at: number;
  changed_at: number;
  revoked: number;
}

/** A REST user. Key: user_id, given by us (greatest plus one in a transaction); `name` is unique. */
export interface AccessUserTable {
  user_id: number;
  name: string;
  salt: string;
  hash: string;
  cost: number;
  admin: number;
  created_at: number;
  changed_at: number;
  revoked: number;
}

/** What a user may see. Key: all three columns. */
export interface AccessUserScopeTable {
  user_id: number;
  kind: string;
  value: string;
}

/**
 * Key: pond_id, never given again (number-sequence.ts), since executions name it for as long as they are kept; device
 * and position together are unique.
 */
export interface PondTable {
  pond_id: number;
  name: string;
  owner_id: number;
  device: string;
  position: number;
  feed_limit_g: number;
  /** JSON. */
  thresholds: string;
  created_at: number;
}

/** Key: topic_key, which is textKey(topic). */
export interface MqttRetainedTable {
  topic_key: string;
  topic: string;
  qos: number;
  payload: Uint8Array;
  stored_at: number;
}

/** The last will of a connected client. Key: client_id. */
export interface MqttWillTable {
  client_id: string;
  username: string;
  topic: string;
  qos: number;
  retain: number;
  payload: Uint8Array;
  stored_at: number;
}

/** A persistent session and the login it belongs to. Key: client_id. */
export interface MqttSessionTable {
  client_id: string;
  username: string;
  /** Null while connected. */
  disconnected_at: number | null;
}

/** Key: client_id, filter_key, which is textKey(filter). */
export interface MqttSubscriptionTable {
  client_id: string;
  filter_key: string;
  filter: string;
  qos: number;
  /** JSON. */
  options: string;
}

/** Packets queued for a persistent session, oldest id first. Key: id; index on client_id, id. */
export interface MqttOutgoingTable {
  id: string;
  client_id: string;
  broker_id: string;
  broker_counter: number;
  message_id: number | null;
  /** publish or pubrel. */
  cmd: string;
  topic: string;
  payload: Uint8Array;
  qos: number;
  retain: number;
  stored_at: number;
}

/** QoS 2 packets that wait for their PUBREL. Key: client_id, message_id. */
export interface MqttIncomingTable {
  client_id: string;
  message_id: number;
  topic: string;
  payload: Uint8Array;
  qos: number;
  retain: number;
  stored_at: number;
}

/** What is to be published once there is a connection, oldest id first. Key: id; index on connection, id. */
export interface OutboxTable {
  id: string;
  connection: string;
  topic: string;
  payload: Uint8Array;
  qos: number;
  retain: number;
  created_at: number;
}

/** What must persist once. Key: name. */
export interface SettingTable {
  name: string;
  value: string;
}

/** A gateway that is there; `beat` rises while it is (lib/core/lease.ts). Key: id. */
export interface GatewayTable {
  id: string;
  name: string;
  beat: number;
}

/** What only one gateway may drive, and which lease does; each change of hands raises `term`. Key: task. */
export interface GatewayTaskTable {
  task: string;
  lease: string;
  term: number;
  /** Drawn anew by each write that leans on the term. */
  mark: number;
}
