import type { SolarBackend } from '../../lib/solar/backend-ports.js';
import { addFigure } from '../runtime/metrics.js';

/** Shows the backend's counters in `/metrics`. @returns what takes them away again */
export function addSolarFigures({ counters, count }: Pick<SolarBackend, 'counters' | 'count'>): () => void {
  const byLabel = (label: string, values: Readonly<Record<string, number>>) =>
    Object.entries(values).map(([name, value]) => ({ value, labels: { [label]: name } }));
  const disposals = [
    addFigure({
      name: 'fieldloom_solar_machines',
      help: 'Solar machines that are online, stale and offline',
      labels: ['state'],
      read: () => {
        const { online, stale, offline } = count();
        return byLabel('state', { online, stale, offline });
      },
    }),
    addFigure({
      name: 'fieldloom_solar_telemetry_total',
      help: 'Telemetry messages that became rows',
      read: () => [{ value: counters.telemetry }],
    }),
    addFigure({
      name: 'fieldloom_solar_messages_total',
      help: 'Messages of solar machines: status, repeated ones, and telemetry that came late',
      labels: ['outcome'],
      read: () => {
        const { status, duplicates, late } = counters;
        return byLabel('outcome', { status, duplicate: duplicates, late });
      },
    }),
    addFigure({
      name: 'fieldloom_solar_status_changes_total',
      help: 'How often the status of a machine became another, and how often machines restarted',
      labels: ['kind'],
      read: () => byLabel('kind', { change: counters.statusChanges, restart: counters.restarts }),
    }),
    addFigure({
      name: 'fieldloom_solar_refused_total',
      help: 'Refused messages of solar machines, by error code',
      labels: ['code'],
      read: () => byLabel('code', counters.refused),
    }),
  ];
  return () => {
    for (const dispose of disposals) dispose();
  };
}
