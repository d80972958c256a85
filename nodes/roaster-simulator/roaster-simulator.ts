import type { NodeAPI, NodeMessage } from 'node-red';
import { systemClock, type Timer } from '../../lib/core/clock.js';
import { FieldloomError } from '../../lib/core/errors.js';
import { createSimulatorDriver, SIMULATOR_DEFAULTS } from '../../lib/roast/simulator-driver.js';
import { defineNode } from '../runtime/define-node.js';
import { positiveNumber } from '../runtime/numbers.js';

interface Config {
  machine: string;
  /** Seconds. */
  interval: string;
  noise: string;
  dropout: string;
}

/** A setting that may be 0. @throws FieldloomError invalid_setting */
function amount(name: string, text: string | undefined, standard: number, most: number): number {
  if (text === undefined || String(text).trim() === '') return standard;
  const number = Number(text);
  if (number >= 0 && number <= most) return number;
  throw new FieldloomError('invalid_setting', `${name} is ${text}: accepted is 0 to ${most}`);
}

export = (RED: NodeAPI): void => {
  defineNode<Config>(RED, 'fieldloom-roaster-simulator', ({ config, closed, status, send, report }) => {
    const intervalMs = positiveNumber('interval', config.interval, 1) * 1000;
    const roaster = createSimulatorDriver(() => performance.now(), {
      ...SIMULATOR_DEFAULTS,
      noiseC: amount('noise', config.noise, SIMULATOR_DEFAULTS.noiseC, 5),
      dropoutShare: amount('dropouts', config.dropout, 0, 100) / 100,
    });
    let timer: Timer | undefined;

    async function tell(): Promise<void> {
      timer = systemClock.setTimer(() => void tell().catch(report), intervalMs);
      const { bt, et, events = [] } = await roaster.read();
      if (closed.aborted) return;
      const machine = config.machine ? { machine_id: config.machine } : {};
      send({ ...machine, payload: { bt, et } } as NodeMessage);
      for (const event of events) send({ ...machine, event } as NodeMessage);
      if (bt === null) status('waiting', 'missing');
      else status('working', 'beans', { bt: bt.toFixed(1) });
    }

    return {
      start: tell,
      async input(message) {
        const channel = message['channel'];
        const value = message.payload;
        if (typeof channel !== 'string' || !roaster.channels().includes(channel)) {
          throw new FieldloomError(
            'invalid_input',
            `msg.channel is ${JSON.stringify(channel)?.slice(0, 60)}: accepted is ${roaster.channels().join(', ')}`,
          );
        }
        if (typeof value !== 'number' || !(value >= 0 && value <= 1)) {
          throw new FieldloomError(
            'invalid_input',
            `msg.payload is ${JSON.stringify(value)?.slice(0, 60)}: accepted is 0 to 1`,
          );
        }
        await roaster.write(channel, value);
      },
      close() {
        timer?.cancel();
      },
    };
  });
};
