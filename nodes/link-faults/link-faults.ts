import type { NodeAPI, NodeMessage } from 'node-red';
import { systemClock, type Timer } from '../../lib/core/clock.js';
import { FieldloomError } from '../../lib/core/errors.js';
import { createFaultyLine } from '../../lib/core/faulty-line.js';
import { defineNode } from '../runtime/define-node.js';

interface Config {
  /** Percent. */
  drop: string;
  repeat: string;
  delay: string;
  reorder: string;
  /** Milliseconds. */
  minDelay: string;
  maxDelay: string;
  seed: string;
}

const STATUS_MS = 500;

/** A number within bounds as the editor keeps it; empty: 0. @throws FieldloomError invalid_setting */
function number(name: string, text: string | undefined, [least, most]: [number, number]): number {
  const value = Number(text === undefined || String(text).trim() === '' ? 0 : text);
  if (value >= least && value <= most) return value;
  throw new FieldloomError(
    'invalid_setting',
    `${name} is ${text}: accepted is a number from ${least} to ${most}`,
  );
}

const LONGEST_DELAY_MS = 24 * 60 * 60 * 1000;
const LARGEST_SEED = 2 ** 32 - 1;

export = (RED: NodeAPI): void => {
  defineNode<Config>(RED, 'fieldloom-link-faults', ({ config, send, status }) => {
    const share = (name: 'drop' | 'repeat' | 'delay' | 'reorder') =>
      number(name, config[name], [0, 100]) / 100;
    const minDelayMs = number('minimum delay', config.minDelay, [0, LONGEST_DELAY_MS]);
    const line = createFaultyLine<NodeMessage>({
      faults: {
        drop: share('drop'),
        repeat: share('repeat'),
        delay: share('delay'),
        reorder: share('reorder'),
        minDelayMs,
        maxDelayMs: number('maximum delay', config.maxDelay || config.minDelay, [
          minDelayMs,
          LONGEST_DELAY_MS,
        ]),
      },
      seed: number('seed', config.seed, [0, LARGEST_SEED]),
      clock: systemClock,
      // Each copy is a message of its own: whoever gets one may change it.
      arrived: (message) => send(RED.util.cloneMessage(message)),
      dropped: (message) => send(null, message),
    });
    let statusTimer: Timer | undefined;
    function show(): void {
      statusTimer = undefined;
      const { passed, dropped } = line.counts;
      status(passed + dropped === 0 ? 'idle' : 'working', 'counts', { passed, dropped });
    }
    show();

    return {
      input(message) {
        line.send(message);
        statusTimer ??= systemClock.setTimer(show, STATUS_MS);
      },
      close() {
        statusTimer?.cancel();
        line.close();
      },
    };
  });
};
