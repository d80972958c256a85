import assert from 'node:assert/strict';
import { hasCode } from '../../lib/core/errors.js';
import { ponds } from '../../lib/store/pond.js';
import { cleanUp, opened, temporaryUrl } from '../support/store.js';

const definition = {
  name: 'Pond',
  ownerId: 1,
  device: 'D',
  position: 1,
  feedLimitG: 500,
  thresholds: { temperature: { min: 18, max: 30.5 } },
};

describe('ponds in the store', () => {
  afterEach(cleanUp);

  it('come back as they were put in, newest first, by owner and by device', async () => {
    const repository = ponds(await opened());
    const first = await repository.add(definition);
    const second = await repository.add({ ...definition, position: 2, ownerId: 2, name: '池塘 2' });
    const third = await repository.add({ ...definition, device: 'E', thresholds: {} });
    assert.deepEqual(first, { ...definition, pondId: 1 });
    assert.deepEqual(await repository.find(2), second);
    assert.equal(await repository.find(99), undefined);
    assert.deepEqual((await repository.page()).items, [third, second, first]);
    assert.deepEqual((await repository.page({ ownerId: 1 })).items, [third, first]);
    const page = await repository.page({ limit: 2 });
    assert.deepEqual(page.items, [third, second]);
    assert.deepEqual((await repository.page({ limit: 2, cursor: page.next_cursor as string })).items, [
      first,
    ]);
    assert.deepEqual(await repository.ofDevice('D'), [first, second]);
    assert.deepEqual(await repository.ofDevice('D', null), [first, second]);
    assert.deepEqual(await repository.ofDevice('D', 2), [second]);
  });

  it('get ids of their own, and one place each, from two processes at once', async () => {
    const url = await temporaryUrl();
    const both = [ponds(await opened(url)), ponds(await opened(url))];
    const added = await Promise.allSettled(
      Array.from({ length: 20 }, (_, index) =>
        both[index % 2]?.add({ ...definition, position: 1 + Math.floor(index / 2) }),
      ),
    );
    const made = added.flatMap((each) => (each.status === 'fulfilled' && each.value ? [each.value] : []));
    const refused = added.flatMap((each) => (each.status === 'rejected' ? [each.reason] : []));
    assert.equal(made.length, 10, 'one of two for each position');
    assert.ok(refused.every((error) => hasCode(error, 'conflict')));
    assert.equal(new Set(made.map(({ pondId }) => pondId)).size, 10);
    assert.equal((await both[0]?.page())?.items.length, 10);
  });

  it('refuse what is no pond, and go once', async () => {
    const repository = ponds(await opened());
    await assert.rejects(repository.add({ ...definition, position: 0 }), (error) =>
      hasCode(error, 'invalid_input'),
    );
    await repository.add(definition);
    await repository.remove(1);
    await assert.rejects(repository.remove(1), (error) => hasCode(error, 'not_found'));
    assert.equal((await repository.add(definition)).pondId, 2);
  });
});
