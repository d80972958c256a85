import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { followRequests } from '../../lib/web/under-way.js';

describe('requests under way', () => {
  it('are waited for, answered or broken off; those that come later are not', async () => {
    const server = createServer();
    const underWay = followRequests(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const ask = async (signal?: AbortSignal) => {
      const asked = once(server, 'request');
      const answer = fetch(url, signal === undefined ? {} : { signal }).then(
        ({ status }) => status,
        () => 'broken off',
      );
      return { answer, response: (await asked)[1] as ServerResponse };
    };
    try {
      await underWay();
      const breaking = new AbortController();
      const [first, second] = [await ask(), await ask(breaking.signal)];
      let over = false;
      const waited = underWay().then(() => {
        over = true;
      });
      const third = await ask();
      first.response.end();
      assert.equal(await first.answer, 200);
      assert.equal(over, false);
      breaking.abort();
      assert.equal(await second.answer, 'broken off');
      await waited;
      third.response.end();
      assert.equal(await third.answer, 200);
    } finally {
      server.close();
      server.closeAllConnections();
    }
  });
});
