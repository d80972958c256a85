import type { NodeAPI, NodeMessage } from 'node-red';
import { systemClock } from '../../lib/core/clock.js';
import { FieldloomError } from '../../lib/core/errors.js';
import { createModbusLine } from '../../lib/modbus/line.js';
import { createControls } from '../../lib/roast/controls.js';
import { createModbusDriver } from '../../lib/roast/modbus-driver.js';
import type { DriverState } from '../../lib/roast/protocol.js';
import { createSampler } from '../../lib/roast/sampler.js';
import { defineNode } from '../runtime/define-node.js';
import { positiveNumber } from '../runtime/numbers.js';
import { type Config, modbusSettings } from './settings.js';

const steadyNow = () => performance.now();

export = (RED: NodeAPI): void => {
  defineNode<Config>(RED, 'fieldloom-roaster-modbus', ({ config, closed, status, send, report }) => {
    const intervalMs = positiveNumber('interval', config.interval, 1) * 1000;
    const settings = modbusSettings(config);
    const driver = createModbusDriver(settings, createModbusLine(settings, systemClock), steadyNow);
    const machine = config.machine ? { machine_id: config.machine } : {};
    /** A loss is reported once, whatever is tried until it is over. */
    let lost = false;

    function turned(state: DriverState, message: string): void {
      if (state === 'disconnected') return;
      if (state === 'connected') lost = false;
      else if (state === 'connecting') status('waiting', 'connecting');
      else {
        status('failed', 'lost');
        if (!lost) report(new FieldloomError('not_connected', message));
        lost = true;
      }
      send(null, { ...machine, payload: { driver_state: state, message } } as NodeMessage);
    }

    const sampler = createSampler({
      driver,
      intervalMs,
      clock: systemClock,
      steadyNow,
      listener: {
        state: (state, message) => {
          if (!closed.aborted) turned(state, message);
        },
        reading({ bt, et, extra }) {
          send({ ...machine, payload: { ...extra, bt, et } } as NodeMessage);
          if (bt === null && et === null) status('waiting', 'missing');
          else status('working', 'beans', { bt: (bt ?? et ?? 0).toFixed(1) });
        },
        failed: () => status('waiting', 'missing'),
      },
    });
    const controls = createControls({
      clock: systemClock,
      channels: driver.channels,
      write: sampler.write,
    });

    return {
      async start() {
        sampler.sample(true);
        sampler.connect().catch(() => {}); // the listener has been told, and it goes on trying
      },
      async input({ channel, payload }) {
        if (typeof channel !== 'string' || typeof payload !== 'number') {
          const accepted = `msg.channel of ${driver.channels().join(', ') || 'none'}, and msg.payload 0 to 1`;
          throw new FieldloomError(
            'invalid_input',
            `msg.channel is ${JSON.stringify(channel)?.slice(0, 60)} and msg.payload ${JSON.stringify(payload)?.slice(0, 60)}: accepted is ${accepted}`,
          );
        }
        const outcome = await controls.set(channel, payload);
        if (outcome.applied) return;
        throw new FieldloomError(outcome.driverFailed ? 'not_connected' : 'invalid_input', outcome.message);
      },
      close: () => sampler.disconnect(),
    };
  });
};
