import assert from 'node:assert/strict';
import { hasCode } from '../../lib/core/errors.js';
import { commandStore } from '../../lib/store/command.js';
import { leaseStore, taskRow } from '../../lib/store/gateways.js';
import { COMMAND_ID, command, write } from '../support/command.js';
import { cleanUp, opened, settingInsert, settings } from '../support/store.js';

const OTHER_ID = '550e8400-e29b-41d4-a716-446655440011';
const ENDED_ID = '550e8400-e29b-41d4-a716-446655440012';

describe('gateways in the store', () => {
  afterEach(cleanUp);

  it('are renewed and taken away by who has seen their last number', async () => {
    const rows = leaseStore(await opened());
    await rows.add({ id: 'a', name: 'one', beat: 1 });
    assert.equal(await rows.renew({ id: 'a', name: 'one', beat: 1 }), true);
    assert.equal(await rows.renew({ id: 'a', name: 'one', beat: 1 }), false);
    assert.deepEqual(await rows.all(), [{ id: 'a', name: 'one', beat: 2 }]);
    assert.equal(await rows.remove({ id: 'a', name: 'one', beat: 1 }), false);
    assert.equal(await rows.remove({ id: 'a', name: 'one', beat: 2 }), true);
    assert.deepEqual(await rows.all(), []);
  });

  it('have a task one at a time, and writes of an earlier term are void', async () => {
    const store = await opened();
    const task = taskRow(store, 'rollouts');
    assert.equal(await task.read(), undefined);
    assert.equal(await task.take('a', 0), true);
    assert.deepEqual(await task.read(), { lease: 'a', term: 1 });
    const insert = settingInsert(store);
    const write = (term: number, name: string) => store.commit([task.guard(term), insert(name)]);
    await write(1, 'first');
    assert.equal(await task.take('b', 1), true);
    assert.equal(await task.take('c', 1), false);
    await assert.rejects(write(1, 'late'), (error) => hasCode(error, 'store_conflict'));
    await write(2, 'second');
    assert.deepEqual(Object.keys(await settings(store)).sort(), ['first', 'second']);
  });

  it('take over the commands of one that have not ended, whose writes are void from then on', async () => {
    const store = await opened();
    const commands = commandStore(store);
    const mine = command({ dispatcher: 'ponds@a' });
    const other = command({ id: OTHER_ID, dispatcher: 'ponds2@a' });
    const ended = command({ id: ENDED_ID, dispatcher: 'ponds@a', status: 'COMPLETED', phase: 'ended' });
    for (const each of [mine, other, ended]) await commands.save(write({ command: each }));
    assert.deepEqual(await commands.openDispatchers('ponds'), ['ponds@a']);
    await commands.takeOver(['ponds@a'], 'ponds@b');
    assert.deepEqual(
      (await commands.loadOpen('ponds@b')).map(({ id, revision }) => [id, revision]),
      [[COMMAND_ID, 2]],
    );
    assert.equal((await commands.load(ENDED_ID))?.dispatcher, 'ponds@a');
    assert.equal((await commands.load(OTHER_ID))?.dispatcher, 'ponds2@a');
    const late = write({ command: { ...mine, attempts: 1, revision: 77 }, expectedRevision: 1 });
    await assert.rejects(commands.save(late), (error) => hasCode(error, 'store_conflict'));
  });
});
