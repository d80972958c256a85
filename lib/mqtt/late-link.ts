import { FieldloomError } from '../core/errors.js';
import type { Link, LinkState, MessageHandler, SubscribeOptions, Subscription } from '../core/link.js';

/** A link whose other end comes later, goes, and comes again: the embedded broker that a flow starts. */
export interface LateLink extends Link {
  /** From now on everything goes over `link`; what waited, and every subscription, is carried out there. */
  attach(link: Link): void;
  /** Back to waiting. The link that was attached stays open: it belongs to who attached it. */
  detach(link: Link): Promise<void>;
  /** For good: what waits is refused with link_closed. */
  close(): Promise<void>;
}

interface Wish {
  filter: string;
  options: SubscribeOptions;
  handler: MessageHandler;
  /** The subscription on the attached link. */
  actual: { asked: Promise<Subscription>; made?: Subscription } | undefined;
  settle: { resolve(): void; reject(error: Error): void };
}

interface Attachment {
  link: Link;
  forgetState: () => void;
}

/** Publishes that may wait for a link, so that a flow without a broker does not fill memory. */
const MOST_WAITING = 1000;

const closedError = () => new FieldloomError('link_closed', 'the connection is closed');

export function createLateLink(): LateLink {
  const wishes = new Set<Wish>();
  const stateListeners = new Set<(state: LinkState, reason?: Error) => void>();
  let waiting: { resolve(link: Link): void; reject(error: Error): void }[] = [];
  let attachment: Attachment | undefined;
  let wasAttached = false;
  let closed = false;

  const state = (): LinkState => {
    if (closed) return 'closed';
    return attachment?.link.state ?? (wasAttached ? 'disconnected' : 'connecting');
  };
  const announce = (reason?: Error) => {
    for (const listener of [...stateListeners]) listener(state(), reason);
  };

  function carryOut(wish: Wish, link: Link) {
    const actual: Wish['actual'] = { asked: link.subscribe(wish.filter, wish.options, wish.handler) };
    wish.actual = actual;
    actual.asked.then(
      (subscription) => {
        actual.made = subscription;
        if (wish.actual === actual) wish.settle.resolve();
      },
      (error: Error) => {
        // What a link says that is no longer ours is nothing to the subscriber: the next one is asked anew.
        if (wish.actual !== actual) return;
        wishes.delete(wish);
        wish.settle.reject(error);
      },
    );
  }

  async function undo(wish: Wish) {
    const { actual } = wish;
    wish.actual = undefined;
    // A subscription that failed has nothing to close; its error went to the subscriber.
    const closed = actual?.asked.then((subscription) => subscription.close()).catch(() => {});
    // One that a broker has not answered may never be: whoever closes the link then would wait for ever.
    if (actual?.made !== undefined) await closed;
  }

  function attached(): Promise<Link> {
    if (closed) return Promise.reject(closedError());
    if (attachment !== undefined) return Promise.resolve(attachment.link);
    if (waiting.length >= MOST_WAITING) {
      return Promise.reject(
        new FieldloomError('queue_full', `${MOST_WAITING} messages wait for the connection already`),
      );
    }
    return new Promise((resolve, reject) => waiting.push({ resolve, reject }));
  }

  async function detach(link: Link) {
    if (attachment?.link !== link) return;
    attachment.forgetState();
    attachment = undefined;
    const undone = [...wishes].map(undo);
    announce();
    await Promise.all(undone);
  }

  return {
    get state() {
      return state();
    },
    onState(listener) {
      stateListeners.add(listener);
      return () => stateListeners.delete(listener);
    },
    async subscribe(filter, options, handler) {
      if (closed) throw closedError();
      return new Promise((resolve, reject) => {
        const subscription: Subscription = {
          async close() {
            wishes.delete(wish);
            await undo(wish);
          },
        };
        const settle = { resolve: () => resolve(subscription), reject };
        const wish: Wish = { filter, options, handler, actual: undefined, settle };
        wishes.add(wish);
        if (attachment !== undefined) carryOut(wish, attachment.link);
      });
    },
    async publish(topic, payload, options) {
      if (closed) throw closedError();
      if (attachment === undefined && options.wait === false) {
        throw new FieldloomError('not_connected', 'no broker is there yet');
      }
      const link = await attached();
      await link.publish(topic, payload, options);
    },
    attach(link) {
      if (closed) throw closedError();
      const before = attachment?.link;
      if (before === link) return;
      if (before !== undefined) void detach(before);
      wasAttached = true;
      attachment = { link, forgetState: link.onState((_, reason) => announce(reason)) };
      for (const wish of wishes) carryOut(wish, link);
      const ready = waiting;
      waiting = [];
      for (const { resolve } of ready) resolve(link);
      announce();
    },
    detach,
    async close() {
      if (closed) return;
      const link = attachment?.link;
      if (link !== undefined) await detach(link);
      closed = true;
      const refused = waiting;
      waiting = [];
      for (const { reject } of refused) reject(closedError());
      for (const wish of wishes) wish.settle.reject(closedError());
      wishes.clear();
      announce();
      stateListeners.clear();
    },
  };
}
