import type { Backend } from '../../lib/laundry/backend.js';
import { addFigure } from '../runtime/metrics.js';

/** Shows the backend's counters in `/metrics`. @returns what takes them away again */
export function addLaundryFigures({ counters, count }: Pick<Backend, 'counters' | 'count'>): () => void {
  const disposals = [
    addFigure({
      name: 'fieldloom_laundry_messages_total',
      help: 'Messages of controllers of which something was accepted',
      read: () => [{ value: counters.messages }],
    }),
    addFigure({
      name: 'fieldloom_laundry_machines_total',
      help: 'Machines in messages, by what became of them',
      labels: ['outcome'],
      read: () =>
        [
          { outcome: 'changed', value: counters.changed },
          { outcome: 'renewed', value: counters.renewed },
          { outcome: 'duplicate', value: counters.duplicate },
          { outcome: 'stale', value: counters.stale },
          { outcome: 'clock_skew', value: counters.clockSkew },
        ].map(({ outcome, value }) => ({ value, labels: { outcome } })),
    }),
    addFigure({
      name: 'fieldloom_laundry_refused_total',
      help: 'Refused messages and parts of messages, by error code',
      labels: ['code'],
      read: () => Object.entries(counters.refused).map(([code, value]) => ({ value, labels: { code } })),
    }),
    addFigure({
      name: 'fieldloom_laundry_controllers',
      help: 'Controllers that are online and offline',
      labels: ['state'],
      read: () => {
        const { known, online } = count();
        return [
          { value: online, labels: { state: 'online' } },
          { value: known - online, labels: { state: 'offline' } },
        ];
      },
    }),
    addFigure({
      name: 'fieldloom_laundry_liveness_changes_total',
      help: 'How often controllers came online and went offline',
      labels: ['to'],
      read: () => [
        { value: counters.cameOnline, labels: { to: 'online' } },
        { value: counters.wentOffline, labels: { to: 'offline' } },
      ],
    }),
  ];
  return () => {
    for (const dispose of disposals) dispose();
  };
}
