import type { Rollouts } from '../../lib/firmware/rollouts.js';
import { addFigure } from '../runtime/metrics.js';

/** Shows the counters of rollouts in `/metrics`. @returns what takes them away again */
export function addFirmwareFigures({ counters, count }: Pick<Rollouts, 'counters' | 'count'>): () => void {
  const labelled = (record: Record<string, number>, label: string) =>
    Object.entries(record).map(([key, value]) => ({ value, labels: { [label]: key } }));
  const disposals = [
    addFigure({
      name: 'fieldloom_firmware_events_total',
      help: 'What deployments did, by event',
      labels: ['event'],
      read: () => labelled(counters.events, 'event'),
    }),
    addFigure({
      name: 'fieldloom_firmware_refused_total',
      help: 'Refused firmware messages, by error code',
      labels: ['code'],
      read: () => labelled(counters.refused, 'code'),
    }),
    addFigure({
      name: 'fieldloom_firmware_own_messages_total',
      help: 'Messages of the gateway itself that the broker brought back',
      read: () => [{ value: counters.own }],
    }),
    addFigure({
      name: 'fieldloom_firmware_rollouts',
      help: 'Rollouts that are not over',
      read: () => [{ value: count().rollouts }],
    }),
    addFigure({
      name: 'fieldloom_firmware_deployments',
      help: 'Deployments that have not ended, by whether they have begun',
      labels: ['state'],
      read: () => {
        const { inProgress, scheduled } = count();
        return labelled({ in_progress: inProgress, scheduled }, 'state');
      },
    }),
  ];
  return () => {
    for (const dispose of disposals) dispose();
  };
}
