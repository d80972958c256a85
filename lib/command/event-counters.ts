import type { ErrorCode } from '../core/errors.js';
import type { AlertChange } from './alerts.js';
import type { DeviceEffects, DeviceStateEvent } from './events-state.js';

/** What has come of devices since the start, for `/metrics`. */
export interface DeviceCounters {
  readings: number;
  heartbeats: number;
  startups: number;
  /** Messages that were there already, and that came too late. */
  duplicates: number;
  stale: number;
  /** Messages whose time was too far ahead to be believed. */
  clockSkew: number;
  alerts: Record<AlertChange, number>;
  /** By error code. */
  refused: Partial<Record<ErrorCode, number>>;
  /** Times that a device came and went. */
  cameOnline: number;
  wentOffline: number;
}

export const newDeviceCounters = (): DeviceCounters => ({
  readings: 0,
  heartbeats: 0,
  startups: 0,
  duplicates: 0,
  stale: 0,
  clockSkew: 0,
  alerts: { raised: 0, updated: 0, acknowledged: 0, cleared: 0 },
  refused: {},
  cameOnline: 0,
  wentOffline: 0,
});

const ACCEPTED = { sensors: 'readings', heartbeat: 'heartbeats', startup: 'startups' } as const;

export function countEvent(counters: DeviceCounters, event: DeviceStateEvent, effects: DeviceEffects): void {
  const { outcome, liveness, alert } = effects;
  if (liveness !== undefined) counters[liveness === 'online' ? 'cameOnline' : 'wentOffline'] += 1;
  if (alert?.change !== undefined) counters.alerts[alert.change] += 1;
  if (outcome === 'duplicate') counters.duplicates += 1;
  if (outcome === 'stale') counters.stale += 1;
  if (event.type !== 'message') return;
  const { kind, clockSkew } = event.message;
  if (clockSkew) counters.clockSkew += 1;
  if (outcome === 'accepted' && kind !== 'threshold') counters[ACCEPTED[kind]] += 1;
}
