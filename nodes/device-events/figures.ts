import type { DeviceBackend } from '../../lib/command/events-backend.js';
import { addFigure } from '../runtime/metrics.js';

/** Shows the backend's counters in `/metrics`. @returns what takes them away again */
export function addDeviceFigures({ counters, count }: Pick<DeviceBackend, 'counters' | 'count'>): () => void {
  const byLabel = (label: string, values: Readonly<Record<string, number>>) =>
    Object.entries(values).map(([name, value]) => ({ value, labels: { [label]: name } }));
  const disposals = [
    addFigure({
      name: 'fieldloom_devices',
      help: 'Devices that are online and offline',
      labels: ['state'],
      read: () => {
        const { known, online } = count();
        return byLabel('state', { online, offline: known - online });
      },
    }),
    addFigure({
      name: 'fieldloom_device_readings_total',
      help: 'Sensor messages of devices that were stored',
      read: () => [{ value: counters.readings }],
    }),
    addFigure({
      name: 'fieldloom_device_messages_total',
      help: 'Messages of devices, by what became of them',
      labels: ['outcome'],
      read: () => {
        const { heartbeats, startups, duplicates, stale, clockSkew } = counters;
        return byLabel('outcome', {
          heartbeat: heartbeats,
          startup: startups,
          duplicate: duplicates,
          stale,
          clock_skew: clockSkew,
        });
      },
    }),
    addFigure({
      name: 'fieldloom_device_alert_changes_total',
      help: 'Alerts that were raised, updated, acknowledged and cleared',
      labels: ['to'],
      read: () => byLabel('to', counters.alerts),
    }),
    addFigure({
      name: 'fieldloom_device_refused_total',
      help: 'Refused messages of devices, by error code',
      labels: ['code'],
      read: () => byLabel('code', counters.refused),
    }),
    addFigure({
      name: 'fieldloom_device_liveness_changes_total',
      help: 'How often devices came online and went offline',
      labels: ['to'],
      read: () => byLabel('to', { online: counters.cameOnline, offline: counters.wentOffline }),
    }),
  ];
  return () => {
    for (const dispose of disposals) dispose();
  };
}
