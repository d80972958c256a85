import { setImmediate } from 'node:timers/promises';
import { silentLog } from '../../lib/core/log.js';
import type { AgentSettings } from '../../lib/firmware/agent.js';
import type {
  AgentFiles,
  AgentRecord,
  AgentStore,
  FetchOutcome,
  Progress,
} from '../../lib/firmware/agent-ports.js';
import { type Agent, createAgent, type Handover } from '../../lib/firmware/agent-runner.js';
import {
  type FirmwareFile,
  type FirmwareMessage,
  firmwareTopic,
  format,
  parse,
} from '../../lib/firmware/codec.js';
import { type FakeClock, fakeClock } from './fake-clock.js';
import { CONTROLLER_ID, STORE_ID } from './seed.js';

const PARAMETERS = { store_id: STORE_ID, controller_id: CONTROLLER_ID };
export const AGENT_TOPICS = {
  action: firmwareTopic('action').format(PARAMETERS),
  ack: firmwareTopic('ack').format(PARAMETERS),
};
export const DEPLOYMENT = '7f56308b-3e98-4faf-8a61-ead5d139a5b1';
export const CORRELATION = '550e8400-e29b-41d4-a716-446655440003';

/** Another deployment's id for each number. */
export const deployment = (number: number) => `7f56308b-3e98-4faf-8a61-${String(number).padStart(12, '0')}`;

export const imageFile = (more: Partial<FirmwareFile> = {}): FirmwareFile => ({
  firmwareVersion: '1.0.1',
  fileUrl: 'https://example.com/firmware-1-0-1.bin',
  fileSize: 779,
  checksum: '8a3be389a446bba670da3a33e5506d2e',
  ...more,
});

const envelope = (correlationId: string | null) => ({
  storeId: STORE_ID,
  controllerId: CONTROLLER_ID,
  version: '1.0.0',
  correlationId,
  timestamp: Date.UTC(2024, 0, 15),
});

/** update_firmware as it comes. */
export const updateMessage = (
  deploymentId = DEPLOYMENT,
  file: Partial<FirmwareFile> = {},
  correlationId: string | null = CORRELATION,
) =>
  Buffer.from(
    format({ ...envelope(correlationId), type: 'update_firmware', deploymentId, ...imageFile(file) }),
  );

export const cancelMessage = (deploymentId = DEPLOYMENT, correlationId: string | null = CORRELATION) =>
  Buffer.from(format({ ...envelope(correlationId), type: 'cancel_update_firmware', deploymentId }));

/** What an agent has on disk, and what it finds there after its process has died. */
export class Disk implements AgentStore {
  readonly records = new Map<string, AgentRecord>();
  /** Units that wait, where a test commits them itself. */
  readonly waiting: { commit(): void; reject(error: Error): void }[] = [];
  held = false;

  all = async () => [...this.records.values()].map((record) => structuredClone(record));

  save = (record: AgentRecord, forget: readonly string[]) =>
    new Promise<void>((resolve, reject) => {
      const commit = () => {
        this.records.set(record.deploymentId, structuredClone(record));
        for (const id of forget) this.records.delete(id);
        resolve();
      };
      if (this.held) this.waiting.push({ commit, reject });
      else commit();
    });
}

interface Fetching {
  deploymentId: string;
  file: FirmwareFile;
  signal: AbortSignal;
  progress(progress: Progress): void;
  end(outcome: FetchOutcome): void;
}

/** A folder whose downloads a test ends as it likes. */
export class Folder implements AgentFiles {
  readonly fetches: Fetching[] = [];
  readonly removed: string[] = [];
  readonly swept: (string | undefined)[] = [];
  free: number | undefined;

  pathOf = (deploymentId: string) => `/folder/${deploymentId}.bin`;
  freeBytes = async () => this.free;
  remove = async (deploymentId: string) => void this.removed.push(deploymentId);
  sweep = async (keep: string | undefined) => void this.swept.push(keep);

  fetch(
    deploymentId: string,
    file: FirmwareFile,
    signal: AbortSignal,
    progress: (progress: Progress) => void,
  ): Promise<FetchOutcome> {
    return new Promise((resolve) => {
      const end = (outcome: FetchOutcome) => {
        const index = this.fetches.indexOf(fetching);
        if (index >= 0) this.fetches.splice(index, 1);
        resolve(outcome);
      };
      const fetching = { deploymentId, file, signal, progress, end };
      this.fetches.push(fetching);
      signal.addEventListener('abort', () =>
        end({ outcome: 'interrupted', reason: 'stopped', progressed: false }),
      );
    });
  }
}

export interface Said {
  topic: string;
  message: FirmwareMessage;
}

export interface BenchOptions {
  disk?: Disk;
  clock?: FakeClock;
  settings?: Partial<AgentSettings>;
  installedVersion?: string;
}

/** An agent on a disk, with everything around it in the hands of the test. */
export class AgentBench {
  readonly disk: Disk;
  readonly clock: FakeClock;
  readonly folder = new Folder();
  readonly said: Said[] = [];
  /** `stored`: the status on disk at that moment. */
  readonly installs: (Handover & { stored: string | undefined })[] = [];
  readonly cancelsAsked: Handover[] = [];
  readonly states: string[] = [];
  readonly reasons: string[] = [];
  /** Publishes that no broker has acknowledged yet, where `connected` is false. */
  readonly unsent: (() => void)[] = [];
  connected = true;
  refusing = false;
  readonly agent: Agent;

  constructor({ disk = new Disk(), clock = fakeClock(), settings, installedVersion }: BenchOptions = {}) {
    this.disk = disk;
    this.clock = clock;
    this.agent = createAgent({
      storeId: STORE_ID,
      controllerId: CONTROLLER_ID,
      store: disk,
      files: this.folder,
      clock,
      log: silentLog,
      link: { publish: (topic, payload) => this.#publish(topic, Buffer.from(payload as string)) },
      listener: {
        install: (handover) =>
          this.installs.push({ ...handover, stored: disk.records.get(handover.record.deploymentId)?.status }),
        cancelAsked: (handover) => this.cancelsAsked.push(handover),
        changed: ({ status }, restarted) => this.states.push(restarted ? `${status} again` : status),
        waiting: (_record, reason) => this.reasons.push(reason),
      },
      installedVersion,
      ...(settings && { settings }),
    });
  }

  static async start(options?: BenchOptions): Promise<AgentBench> {
    const bench = new AgentBench(options);
    await bench.agent.start();
    await bench.settle();
    return bench;
  }

  #publish(topic: string, payload: Buffer): Promise<void> {
    if (this.refusing) return Promise.reject(new Error('refused'));
    const channel = topic === AGENT_TOPICS.ack ? 'ack' : 'action';
    const say = () => {
      const message = parse(channel, PARAMETERS, payload, this.clock.now());
      this.said.push({ topic, message });
    };
    if (this.connected) {
      say();
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      this.unsent.push(() => {
        say();
        resolve();
      });
    });
  }

  /** Lets everything happen that needs no time. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 4; turn += 1) await setImmediate();
  }

  async receive(payload: Buffer): Promise<void> {
    await this.agent.handle({ payload });
    await this.settle();
  }

  update = (deploymentId?: string, file?: Partial<FirmwareFile>, correlationId?: string | null) =>
    this.receive(updateMessage(deploymentId, file, correlationId));

  cancel = (deploymentId?: string, correlationId?: string | null) =>
    this.receive(cancelMessage(deploymentId, correlationId));

  async fetched(outcome: FetchOutcome): Promise<void> {
    this.folder.fetches[0]?.end(outcome);
    await this.settle();
  }

  async pass(ms: number): Promise<void> {
    this.clock.advance(ms);
    await this.settle();
  }

  /** What was said so far, in short, and forgets it. */
  words(): string[] {
    return this.said.splice(0).map(({ message }) => {
      const type = message.type.replace(/_?update_firmware_?/, ' ').trim();
      return message.type === 'update_firmware_failed' ? `${type}: ${message.errors.join('; ')}` : type;
    });
  }

  /** The process dies; what it had on disk is there for the next one. */
  async restart(options: Omit<BenchOptions, 'disk'> = {}): Promise<AgentBench> {
    await this.agent.close();
    return AgentBench.start({ clock: this.clock, ...options, disk: this.disk });
  }
}
