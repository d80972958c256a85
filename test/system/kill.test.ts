import { randomUUID } from 'node:crypto';
import { Gateway } from '../support/gateway.js';
import { numberedStates } from '../support/kill-laundry.js';
import { nothingAcknowledgedIsLost } from '../support/kill-test.js';

describe('a gateway that is killed again and again', function () {
  this.timeout(240_000);
  let gateway: Gateway;

  before(async () => {
    gateway = await Gateway.create();
    await gateway.start();
  });
  after(() => gateway.remove());

  it('keeps every acknowledged state exactly once', async () => {
    const ids = { storeId: randomUUID(), controllerId: randomUUID() };
    const login = await gateway.command(
      ...['access', 'add', '--role', 'controller'],
      ...['--store', ids.storeId, '--controller', ids.controllerId],
    );
    const states = numberedStates(gateway, ids, 20_000);
    await nothingAcknowledgedIsLost(gateway, login as object, states, { total: 20_000, times: 5 });
  });
});
