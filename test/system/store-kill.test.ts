import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { cleanUp, opened, settings, temporaryUrl } from '../support/store.js';
import { startStoreProcess } from '../support/store-process.js';

describe('a killed process', () => {
  afterEach(cleanUp);

  it('has on disk, whole and once, every unit whose promise was fulfilled', async () => {
    const url = await temporaryUrl();
    const reported = new Set<number>();
    for (let round = 0; round < 5; round += 1) {
      const { child, ask } = startStoreProcess(url);
      await ask('open');
      const enough = randomInt(1, 4_000);
      let seen = 0;
      child.on('message', ({ number }: { number?: number }) => {
        if (number === undefined) return;
        reported.add(number);
        seen += 1;
        if (seen === enough) child.kill('SIGKILL');
      });
      ask('number', round * 1_000_000).catch(() => {});
      await once(child, 'exit');
      assert.ok(seen >= enough);
    }
    const rows = await settings(await opened(url));
    for (const number of reported) {
      assert.ok(
        `n${number}` in rows && `n${number}-second` in rows,
        `${number} was reported and is not there`,
      );
    }
    for (const name of Object.keys(rows)) {
      if (!name.endsWith('-second')) assert.ok(`${name}-second` in rows, `${name} is half a unit`);
    }
    assert.ok(reported.size > 5);
  });
});
