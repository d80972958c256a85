import type { NodeAPI } from 'node-red';
import { systemClock } from '../../lib/core/clock.js';
import { FieldloomError } from '../../lib/core/errors.js';
import { whenPossible } from '../../lib/core/when-possible.js';
import { openRoastery, type Roastery } from '../../lib/roast/roastery.js';
import { newId } from '../../lib/store/ids.js';
import { roastStore } from '../../lib/store/roast.js';
import { type Profiles, roastProfiles } from '../../lib/store/roast-profiles.js';
import { defineNode } from '../runtime/define-node.js';
import { awaitReader } from '../runtime/health.js';
import type { ProvidedStore } from '../store/store.js';
import { createDrivers } from './drivers.js';
import { machineOfMessage, takeMessage } from './input.js';
import { roastOutputs } from './outputs.js';
import { serveRoasts } from './serve.js';

interface Config {
  store: string;
}

const steadyNow = () => performance.now();

export = (RED: NodeAPI): void => {
  defineNode<Config>(RED, 'fieldloom-roast-session', ({ config, log, closed, status, send, wired, use }) => {
    const { store } = use<ProvidedStore>(config.store, 'store');
    const outputs = roastOutputs(send, wired);
    const drivers = createDrivers(steadyNow, outputs.control);
    let roastery: Roastery | undefined;
    let saved: Profiles | undefined;

    const opened = <T>(value: T | undefined): T => {
      if (value === undefined) throw new FieldloomError('store_unavailable', 'the store is not open yet');
      return value;
    };
    const rest = { roastery: () => opened(roastery), profiles: () => opened(saved) };
    const stop = serveRoasts(RED, rest, () => roastery, log);

    async function begin(): Promise<void> {
      status('waiting', 'store');
      const open = await store;
      const profiles = roastProfiles(open);
      const made = await whenPossible(
        () =>
          openRoastery({
            store: roastStore(open),
            profiles,
            driver: drivers.make,
            clock: systemClock,
            steadyNow,
            newId,
            log,
            tell: outputs.tell,
          }),
        { what: 'roasting machines', clock: systemClock, log, closed: () => closed.aborted },
      );
      if (closed.aborted) return made.close();
      roastery = made;
      saved = profiles;
      status('working', 'ready');
    }
    const ready = begin();
    awaitReader(ready, closed);

    return {
      start: () => ready,
      async input(message) {
        const machine = machineOfMessage(opened(roastery), message);
        const now = { epochMs: systemClock.now(), steadyMs: steadyNow() };
        await takeMessage(machine, drivers.onWires(machine.definition.id), message, now);
      },
      async close() {
        stop();
        await roastery?.close();
      },
    };
  });
};
