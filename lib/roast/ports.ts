import type { RoastEvent } from './event.js';
import type { MachineDefinition } from './machine-definition.js';
import type { ControlChange, Profile } from './profile.js';
import type { Sample } from './reading.js';
import type { Point, SessionPhase } from './session.js';

export interface StoredMachine {
  readonly definition: MachineDefinition;
  /** It is to be connected. */
  readonly connected: boolean;
  /** Of its session; null while idle. */
  readonly sessionId: string | null;
  readonly createdAt: number;
}

/** A session as it begins. */
export interface NewSession {
  readonly sessionId: string;
  readonly machineId: string;
  readonly phase: Extract<SessionPhase, 'monitoring' | 'recording'>;
  /** Epoch ms at which its clock was 0. */
  readonly startedAt: number;
  /** Readings before it, on its clock. */
  readonly leadIn: readonly Sample[];
}

export interface StoredEvent {
  readonly event: RoastEvent;
  readonly given: boolean;
}

/** A control that was applied. Time on the session's clock. */
export type AppliedControl = Pick<ControlChange, 'timeMs' | 'channel'> & { readonly value: number };

/** A session, whole, in the order in which it came. */
export interface StoredSession {
  readonly sessionId: string;
  readonly phase: Exclude<SessionPhase, 'idle'>;
  readonly startedAt: number;
  readonly endedMs: number | null;
  readonly leadIn: readonly Sample[];
  readonly points: readonly Point[];
  readonly events: readonly StoredEvent[];
  readonly controls: readonly AppliedControl[];
}

/** What a machine and its sessions leave behind. Written in the order of the calls. */
export interface RoastStore {
  machines(): Promise<StoredMachine[]>;
  /** @throws FieldloomError conflict where the id is taken */
  addMachine(definition: MachineDefinition): Promise<void>;
  updateMachine(definition: MachineDefinition): Promise<void>;
  removeMachine(machineId: string): Promise<void>;
  setConnected(machineId: string, connected: boolean): Promise<void>;

  session(sessionId: string): Promise<StoredSession | undefined>;
  /** Its machine has this session from now on; one that only monitored is forgotten. */
  beginSession(session: NewSession): Promise<void>;
  endSession(sessionId: string, endedMs: number): Promise<void>;
  /** The machine is idle from now on. What was recorded stays. */
  leaveSession(machineId: string): Promise<void>;
  addPoint(sessionId: string, point: Point): Promise<void>;
  addEvent(sessionId: string, event: StoredEvent): Promise<void>;
  /** @param number 1, 2, 3 … in this session */
  addControl(sessionId: string, number: number, control: AppliedControl): Promise<void>;
}

/** What machines need of saved profiles. */
export interface ProfileSource {
  /** One of that company, or of nobody in particular. */
  profile(profileId: string, companyId: string | null): Promise<Profile | undefined>;
}
