import type { CommandDispatcher } from '../../lib/command/dispatcher.js';
import { addDistribution, addFigure } from '../runtime/metrics.js';

/** Seconds: from a device that answers at once to one whose third retry succeeds. */
const ROUND_TRIP_S = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 60];

/** Shows the dispatcher's counters in `/metrics`. @returns what takes them away again */
export function addCommandFigures(
  dispatcher: Pick<CommandDispatcher, 'counters' | 'count' | 'listen'>,
): () => void {
  const { counters } = dispatcher;
  const roundTrips = addDistribution(
    'fieldloom_command_round_trip_seconds',
    'From the first publish of a command to its success',
    ROUND_TRIP_S,
  );
  const disposals = [
    roundTrips.remove,
    dispatcher.listen({ roundTrip: (_, ms) => roundTrips.observe(ms / 1000) }),
    addFigure({
      name: 'fieldloom_commands_total',
      help: 'Commands that have ended, by how',
      labels: ['end'],
      read: () => Object.entries(counters.ends).map(([end, value]) => ({ value, labels: { end } })),
    }),
    addFigure({
      name: 'fieldloom_commands_submitted_total',
      help: 'Commands that were asked for and stored',
      read: () => [{ value: counters.submitted }],
    }),
    addFigure({
      name: 'fieldloom_command_retries_total',
      help: 'Publishes of commands after the first',
      read: () => [{ value: counters.retries }],
    }),
    addFigure({
      name: 'fieldloom_command_acknowledgements_total',
      help: 'Acknowledgements that were out of the ordinary',
      labels: ['kind'],
      read: () => [
        { value: counters.late, labels: { kind: 'late' } },
        { value: counters.duplicates, labels: { kind: 'duplicate' } },
        { value: counters.anomalies, labels: { kind: 'anomaly' } },
      ],
    }),
    addFigure({
      name: 'fieldloom_command_refused_total',
      help: 'Refused acknowledgements, by error code',
      labels: ['code'],
      read: () => Object.entries(counters.refused).map(([code, value]) => ({ value, labels: { code } })),
    }),
    addFigure({
      name: 'fieldloom_commands_in_flight',
      help: 'Commands that are on their way and commands that wait for their turn',
      labels: ['state'],
      read: () => {
        const { inFlight, waiting } = dispatcher.count();
        return [
          { value: inFlight, labels: { state: 'in_flight' } },
          { value: waiting, labels: { state: 'waiting' } },
        ];
      },
    }),
  ];
  return () => {
    for (const dispose of disposals) dispose();
  };
}
