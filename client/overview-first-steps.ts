import { type BrokerAddress, COMMAND, type FirstStep } from './first-step.js';
import { firstSteps } from './laundry-first-steps.js';
import { LOGIN_STEP } from './pond-first-steps.js';

/**
 * What to do while nothing is connected: see it all with simulated machines, or let a first controller report, or make
 * a login for another machine. Each page has the rest for its own machines.
 * @param now epoch milliseconds UTC
 */
export function overviewFirstSteps(broker: BrokerAddress, now: number): FirstStep[] {
  return [
    { title: 'See it at work with simulated machines: start it so', command: 'SIMULATE=1 npm start' },
    ...firstSteps(broker, now).map((step) => ({ ...step, title: `${step.title} (laundry)` })),
    {
      title: 'Make a login for a solar machine',
      command: `${COMMAND} access add --role machine --company 1 --machine A`,
    },
    { ...LOGIN_STEP, title: 'Make a user, who can log in here and own ponds' },
  ];
}
