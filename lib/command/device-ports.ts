import type { DeadLetter } from '../core/dead-letter.js';
import type { EarlierLetters } from '../core/redelivery.js';
import type { Alert, DeviceRecord, Reading } from './ports.js';

/** A device as its rules keep it. */
export interface StoredDevice extends DeviceRecord {
  /** A number that no two writes of a device share: a write of another gateway in between makes ours void. */
  revision: number;
  /** What tells its last startup from another one, and when that came (epoch ms). */
  startupDigest: string | null;
  startupReceivedAt: number | null;
}

/** A reading with what the message said besides. */
export interface StoredReading extends Reading {
  /** Fields that are no numbers, as they came. */
  extra: Readonly<Record<string, unknown>>;
  /** SHA-256 in hex of what makes the message itself and no other. */
  digest: string;
}

/** The newest value of one parameter. */
export interface LatestValue {
  /** Null: of the device as a whole. */
  position: number | null;
  parameter: string;
  value: number;
  at: number;
}

/** A message about an alert that is known already. */
export interface KnownMessage {
  digest: string;
  receivedAt: number;
}

export interface StoredAlert extends Alert {
  /** The newest time that a message about it has said, epoch ms: what is older comes too late. */
  saidAt: number;
  /** Its last messages, newest last. */
  known: readonly KnownMessage[];
}

/** A device with what is needed to judge its next message. */
export interface LoadedDevice {
  device: StoredDevice;
  latest: LatestValue[];
  /** Alerts that are not cleared, and the last one of each parameter that is. */
  alerts: StoredAlert[];
}

/** All that one message changes: written together or not at all. */
export interface DeviceWrite {
  /** The revision that must be stored for this write to count; 0: the device is not stored yet. */
  expectedRevision: number;
  device: StoredDevice;
  reading?: StoredReading;
  /** Newest values that the reading brings. */
  latest: readonly LatestValue[];
  /** An alert that is new or has changed. */
  alert?: StoredAlert;
  message?: DeviceMessage;
}

/** One line of the append-only history of messages (protocols.md "Common"). */
export interface DeviceMessage {
  topic: string;
  /** accepted, duplicate, stale, refused … */
  outcome: string;
  at: number;
}

export interface DeviceStore extends EarlierLetters {
  loadAll(): Promise<LoadedDevice[]>;
  load(device: string): Promise<LoadedDevice | undefined>;
  /** How many readings of this device have the digest and a time after `from` and up to `to`, epoch ms. */
  countReadings(device: string, digest: string, from: number, to: number): Promise<number>;
  /** Whether there is a reading of this device with the digest, of any time. */
  hasReading(device: string, digest: string): Promise<boolean>;
  loadAlert(alertId: string): Promise<StoredAlert | undefined>;
  /** @throws FieldloomError store_conflict where the stored revision is not `expectedRevision` */
  save(write: DeviceWrite): Promise<void>;
  /** For messages of which nothing was accepted. */
  refuse(letters: readonly DeadLetter[], message: DeviceMessage): Promise<void>;
}
