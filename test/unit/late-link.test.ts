import assert from 'node:assert/strict';
import { hasCode } from '../../lib/core/errors.js';
import type { Message, PublishOptions } from '../../lib/core/link.js';
import { createLateLink } from '../../lib/mqtt/late-link.js';
import { wiredLink } from '../../lib/mqtt/wired-link.js';

const QOS1: PublishOptions = { qos: 1 };
const message = (text: string): Message => ({
  topic: 'a/b',
  payload: Buffer.from(text),
  qos: 1,
  retain: false,
  receivedAt: 0,
});

/** A link that works by itself, and what went out of it. */
function broker() {
  const published: string[] = [];
  const link = wiredLink(({ payload }) => published.push(payload.toString()));
  return { link, published };
}

describe('a link whose broker comes later', () => {
  it('carries out there what waited', async () => {
    const late = createLateLink();
    const heard: string[] = [];
    const subscribed = late.subscribe('a/#', { qos: 1 }, async ({ payload }) => {
      heard.push(payload.toString());
    });
    const published = late.publish('a/c', 'early', QOS1);
    assert.equal(late.state, 'connecting');
    const first = broker();
    late.attach(first.link);
    await Promise.all([subscribed, published]);
    await first.link.deliver(message('one'));
    assert.deepEqual(first.published, ['early']);
    assert.deepEqual(heard, ['one']);
    assert.equal(late.state, 'connected');
  });

  it('moves its subscriptions to the next broker and leaves none behind', async () => {
    const late = createLateLink();
    const [first, second] = [broker(), broker()];
    late.attach(first.link);
    const heard: string[] = [];
    await late.subscribe('a/#', { qos: 1 }, async ({ payload }) => {
      heard.push(payload.toString());
    });
    await late.detach(first.link);
    assert.equal(late.state, 'disconnected');
    late.attach(second.link);
    assert.equal(await first.link.deliver(message('to the first')), false);
    assert.equal(await second.link.deliver(message('to the second')), true);
    assert.deepEqual(heard, ['to the second']);
  });

  it('lets go of a broker that has not answered to a subscription, and asks the next one for it', async () => {
    const late = createLateLink();
    const silent = broker();
    let refuse: (error: Error) => void = () => {};
    late.attach({
      ...silent.link,
      state: 'connected',
      subscribe: () =>
        new Promise((_resolve, reject) => {
          refuse = reject;
        }),
    });
    const heard: string[] = [];
    const subscribed = late.subscribe('a/#', { qos: 1 }, async ({ payload }) => {
      heard.push(payload.toString());
    });
    const second = broker();
    late.attach(second.link);
    // As a connection does that is closed meanwhile.
    refuse(new Error('closed'));
    await subscribed;
    await second.link.deliver(message('to the second'));
    assert.deepEqual(heard, ['to the second']);
  });

  it('is closed at once although a broker has not answered to a subscription', async () => {
    const late = createLateLink();
    late.attach({ ...broker().link, state: 'connected', subscribe: () => new Promise(() => {}) });
    const subscribed = assert.rejects(
      late.subscribe('a', { qos: 1 }, async () => {}),
      (error) => hasCode(error, 'link_closed'),
    );
    await late.close();
    await subscribed;
  });

  it('forgets a subscription that was closed while no broker was there', async () => {
    const late = createLateLink();
    const [first, second] = [broker(), broker()];
    late.attach(first.link);
    const subscription = await late.subscribe('a/#', { qos: 1 }, async () => {});
    await late.detach(first.link);
    await subscription.close();
    late.attach(second.link);
    assert.equal(await second.link.deliver(message('x')), false);
  });

  it('refuses at once what does not want to wait', async () => {
    const late = createLateLink();
    await assert.rejects(late.publish('a', 'x', { qos: 1, wait: false }), (error) =>
      hasCode(error, 'not_connected'),
    );
  });

  it('lets no more than 1,000 publishes wait', async () => {
    const late = createLateLink();
    const waiting = Array.from({ length: 1000 }, () => late.publish('a', 'x', QOS1));
    await assert.rejects(late.publish('a', 'x', QOS1), (error) => hasCode(error, 'queue_full'));
    const { link, published } = broker();
    late.attach(link);
    await Promise.all(waiting);
    assert.equal(published.length, 1000);
  });

  it('tells the subscriber where the broker refuses', async () => {
    const late = createLateLink();
    late.attach(broker().link);
    await assert.rejects(
      late.subscribe('a/#', { qos: 1, share: 'group' }, async () => {}),
      (error) => hasCode(error, 'shared_subscription_unsupported'),
    );
  });

  it('refuses everything once it is closed, also what waits', async () => {
    const late = createLateLink();
    const closed = (error: unknown) => hasCode(error, 'link_closed');
    const waiting = [
      assert.rejects(late.publish('a', 'x', QOS1), closed),
      assert.rejects(
        late.subscribe('a', { qos: 1 }, async () => {}),
        closed,
      ),
    ];
    const states: string[] = [];
    late.onState((state) => states.push(state));
    await late.close();
    await Promise.all(waiting);
    await assert.rejects(late.publish('a', 'x', QOS1), closed);
    assert.deepEqual(states, ['closed']);
  });

  it('follows the state of its broker', async () => {
    const late = createLateLink();
    const states: string[] = [];
    late.onState((state) => states.push(state));
    const { link } = broker();
    late.attach(link);
    link.close();
    assert.deepEqual(states, ['connected', 'closed']);
  });
});
