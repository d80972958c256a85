import type { CommandRecord, CommandWrite, ExecutionRecord } from '../../lib/command/ports.js';

/** 2025-08-30T01:00:00Z, the time of the document's sample message. */
export const SEED_TIME = Date.UTC(2025, 7, 30, 1, 0, 0);
export const DEVICE = 'AA:BB:CC:DD:EE:FF';
export const COMMAND_ID = '550e8400-e29b-41d4-a716-446655440010';

/** A command as it is stored first. */
export function command(parts: Partial<CommandRecord> = {}): CommandRecord {
  return {
    id: COMMAND_ID,
    dispatcher: 'ponds',
    device: DEVICE,
    topic: `devices/${DEVICE}/commands`,
    payload: '{}',
    commandType: 'FEED',
    parameters: { action: 'feed', amount: 100 },
    priority: 0,
    terms: { acknowledged: true, ackTimeoutMs: 10_000, maxRetries: 3, executionTimeoutMs: 60_000 },
    status: 'PENDING',
    phase: 'queued',
    reason: null,
    message: null,
    attempts: 0,
    late: false,
    revision: 1,
    waitsForBroker: true,
    expiresAt: null,
    wakeAt: null,
    createdAt: SEED_TIME,
    sentAt: null,
    acknowledgedAt: null,
    completedAt: null,
    executionId: null,
    ...parts,
  };
}

export function execution(parts: Partial<ExecutionRecord> = {}): ExecutionRecord {
  return {
    executionId: 4,
    pondId: 1,
    executionType: 'FEED',
    action: 'FEED',
    priority: 'MANUAL_COMMAND',
    status: 'EXECUTING',
    userId: 7,
    parameters: { feed_amount: 100 },
    createdAt: SEED_TIME,
    completedAt: null,
    ...parts,
  };
}

export function write(parts: Partial<CommandWrite> = {}): CommandWrite {
  return { command: command(), expectedRevision: 0, transitions: [], messages: [], ...parts };
}
