import type { DeadLetter } from '../core/dead-letter.js';
import type { EarlierLetters } from '../core/redelivery.js';
import type { Deployment, DeploymentState, DeploymentTerms } from './deployment-record.js';
import type { CountChange, Rollout, StagePlan } from './rollout.js';

/** An image as the rollout keeps it, so that it can go on when the image is removed. */
export interface ImageInfo {
  imageId: string;
  version: string;
  /** Bytes. */
  fileSize: number;
  /** MD5 in hex. */
  checksum: string;
  /** SHA-256 in hex. */
  sha256: string;
  /** Ed25519 signature of the 32 bytes of the file's SHA-256 digest, in base64. */
  signature?: string;
}

/** Where images are; a `fieldloom-firmware-files` node provides it. */
export interface FirmwareFiles {
  image(imageId: string): Promise<ImageInfo | undefined> | ImageInfo | undefined;
  /** Asks before an image is removed: `needed` answers why it may not be, or undefined. @returns what ends it */
  holdBack?(needed: (imageId: string) => Promise<string | undefined>): () => void;
  /** A signed URL that works until `expiresAt`, epoch ms. */
  url(imageId: string, expiresAt: number): Promise<string> | string;
}

/** What does not change in a rollout. */
export interface RolloutPlan {
  id: string;
  /** For people. */
  name: string | null;
  image: ImageInfo;
  stages: readonly StagePlan[];
  terms: DeploymentTerms;
  /** Why a lower version is accepted. */
  forceReason: string | null;
  supersede: boolean;
  /** Starts a minute; null: as fast as it goes. */
  ratePerMinute: number | null;
  maxInProgress: number;
  createdAt: number;
  /** Name of the user; null: a flow. */
  createdBy: string | null;
}

/** A rollout as the store has it. */
export interface StoredRollout {
  plan: RolloutPlan;
  rollout: Rollout;
  revision: number;
}

/** One line of the append-only history of a deployment or, where `subjectId` is its id, of a rollout. */
export interface HistoryRecord {
  subjectId: string;
  rolloutId: string;
  /** Name of the event: sent, acknowledged, duplicate_ack, anomaly … */
  event: string;
  from: string | null;
  to: string;
  detail: string | null;
  at: number;
}

/** One line of the history of messages of all protocols (protocols.md "Common"). */
export interface MessageRecord {
  direction: 'in' | 'out';
  topic: string;
  outcome: string;
  correlationId: string | null;
  at: number;
}

/** What is known of a controller: its version, and the deployment that it is busy with. */
export interface ControllerRecord {
  storeId: string;
  controllerId: string;
  version: string | null;
  versionAt: number | null;
  deploymentId: string | null;
}

/** All that one event of a deployment changes: written together or not at all. */
export interface DeploymentWrite {
  deployment: Deployment;
  /** The revision that must be stored for this write to count; undefined: nothing of the row changes. */
  expectedRevision: number | undefined;
  /** How the rollout's counts move. */
  count?: CountChange;
  /** claim: its controller must be free; release: it is free from now on. */
  controller?: 'claim' | 'release';
  /** Version that the controller runs now. */
  installed?: string;
  history: readonly HistoryRecord[];
  messages: readonly MessageRecord[];
  at: number;
}

export interface RolloutWrite {
  plan: RolloutPlan;
  rollout: Rollout;
  /** The stored revision; the new one is one more. */
  expectedRevision: number;
  history: readonly HistoryRecord[];
}

/** A deployment that takes the place of one that has ended. */
export interface Retry {
  old: Deployment;
  /** The revision of `old` that must be stored. */
  expectedRevision: number;
  next: Deployment;
}

export interface FirmwareStore extends EarlierLetters {
  /** Rollouts that go on, or that have deployments that have not ended; with these deployments, by position. */
  loadOpen(): Promise<{ rollouts: StoredRollout[]; deployments: Deployment[] }>;
  rollout(rolloutId: string): Promise<StoredRollout | undefined>;
  deployment(deploymentId: string): Promise<Deployment | undefined>;
  /** Present deployments of a rollout in these states, by position. */
  deploymentsIn(rolloutId: string, states: readonly DeploymentState[]): Promise<Deployment[]>;
  /** A controller's deployment that timed out, said `completed` later, and has yet to report its version. */
  unverified(storeId: string, controllerId: string): Promise<Deployment | undefined>;
  controller(storeId: string, controllerId: string): Promise<ControllerRecord | undefined>;
  /** Versions and busy controllers of many at once, by `<storeId>/<controllerId>`. */
  controllersOf(rolloutId: string): Promise<Map<string, ControllerRecord>>;
  /** False: known to be offline; undefined: nobody knows. */
  isOnline(storeId: string, controllerId: string): Promise<boolean | undefined>;
  create(stored: StoredRollout, deployments: readonly Deployment[]): Promise<void>;
  /** @throws FieldloomError store_conflict where a revision is another, or a claimed controller is busy */
  saveDeployment(write: DeploymentWrite): Promise<void>;
  /** @throws FieldloomError store_conflict */
  saveRollout(write: RolloutWrite): Promise<void>;
  /** @throws FieldloomError store_conflict; then none is written */
  retry(retries: readonly Retry[], at: number): Promise<void>;
  reportVersion(storeId: string, controllerId: string, version: string, at: number): Promise<void>;
  refuse(letters: readonly DeadLetter[], message?: MessageRecord): Promise<void>;
}
