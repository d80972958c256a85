/** The tables of the command protocol; what holds for all tables stands in tables.ts. */
export interface CommandTables {
  automation_execution: AutomationExecutionTable;
  device_command: DeviceCommandTable;
  device_command_transition: DeviceCommandTransitionTable;
  mqtt_message: MqttMessageTable;
  command_idempotency: CommandIdempotencyTable;
  number_sequence: NumberSequenceTable;
}

/** What a person or a rule wanted (seed: AutomationExecution). Key: execution_id; index on pond_id, created_at. */
export interface AutomationExecutionTable {
  execution_id: number;
  pond_id: number;
  execution_type: string;
  action: string;
  priority: string;
  status: string;
  user_id: number | null;
  /** JSON. */
  parameters: string;
  created_at: number;
  completed_at: number | null;
  /** The command that carries it out. */
  command_id: string;
}

/**
 * seed: DeviceCommand. Key: id, a UUID that the asker may choose. Indexes: dispatcher and status, for what has not
 * ended; created_at, for retention.
 */
export interface DeviceCommandTable {
  id: string;
  dispatcher: string;
  device: string;
  topic: string;
  /** JSON text as it is published. */
  payload: string;
  command_type: string;
  /** JSON. */
  parameters: string;
  priority: number;
  acknowledged: number;
  ack_timeout_ms: number;
  max_retries: number;
  execution_timeout_ms: number;
  status: string;
  phase: string;
  reason: string | null;
  message: string | null;
  attempts: number;
  late: number;
  /** What compare-and-set compares. */
  revision: number;
  waits_for_broker: number;
  expires_at: number | null;
  wake_at: number | null;
  created_at: number;
  sent_at: number | null;
  acknowledged_at: number | null;
  completed_at: number | null;
  execution_id: number | null;
}

/** Append-only history of a command. Key: command_id, id. */
export interface DeviceCommandTransitionTable {
  command_id: string;
  id: string;
  status: string;
  attempt: number;
  reason: string | null;
  message: string | null;
  event: string;
  at: number;
}

/** Append-only (seed: MQTTMessage). Key: id; index on device, id. */
export interface MqttMessageTable {
  id: string;
  device: string;
  topic: string;
  direction: string;
  message_type: string;
  success: number;
  correlation_id: string | null;
  at: number;
  /** UTF-8 text; an acknowledgement may be longer than a text column of MySQL. */
  payload: Uint8Array;
}

/** What a REST client has asked under a key of its own. Key: user_id, idempotency_key; index on created_at. */
export interface CommandIdempotencyTable {
  user_id: number;
  idempotency_key: string;
  digest: string;
  execution_id: number;
  created_at: number;
}

/** Whole numbers that are given out once, over all processes on this database. Key: name. */
export interface NumberSequenceTable {
  name: string;
  /** The first number that nobody has reserved. */
  next_number: number;
}
