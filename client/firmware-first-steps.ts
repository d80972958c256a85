import { type BrokerAddress, COMMAND, type FirstStep } from './first-step.js';
import { firstSteps } from './laundry-first-steps.js';

/** Who may upload images and update every controller. */
export const ADMIN_STEP: FirstStep = {
  title: 'Make an administrator',
  command: `printf %s PASSWORD | ${COMMAND} user add NAME --password-stdin --admin`,
};

/** What is still missing before a rollout can be made. */
export interface Missing {
  images: boolean;
  controllers: boolean;
}

/**
 * What to do while there is no rollout: a login, a controller, an image. The commands work as they stand, but for the
 * names and passwords in capital letters.
 * @param root of the gateway, with a slash at its end
 * @param now epoch milliseconds UTC
 */
export function firmwareFirstSteps(
  { images, controllers }: Missing,
  broker: BrokerAddress,
  root: string,
  now: number,
): FirstStep[] {
  const [login, report] = firstSteps(broker, now) as [FirstStep, FirstStep];
  return [
    ADMIN_STEP,
    ...(controllers
      ? [
          { ...login, title: 'Make a login for a controller' },
          { ...report, title: 'Let the controller say that it is there, with this login' },
        ]
      : []),
    ...(images
      ? [
          {
            title: 'Upload an image, here below or by command',
            command: `TOKEN=$(${COMMAND} user token NAME)\ncurl -H "Authorization: Bearer $TOKEN" --data-binary @firmware-1-0-1.bin "${root}firmware/images?version=1.0.1"`,
          },
        ]
      : []),
  ];
}
