import { FieldloomError } from '../core/errors.js';
import type { Link, Message, MessageHandler, PublishOptions, QoS, SubscribeOptions } from '../core/link.js';
import { checkFilter } from '../core/topic.js';
import { LinkStateHolder } from './link-state.js';
import { Subscriptions } from './subscriptions.js';

export interface WiredPublish {
  topic: string;
  payload: Buffer;
  qos: QoS;
  retain: boolean;
}

export interface WiredLink extends Link {
  /**
   * Hands a message that came by a wire to every handler whose filter matches. Fulfils when all of them have,
   * rejects with the first error; false where nobody wanted it.
   */
  deliver(message: Message): Promise<boolean>;
  close(): void;
}

/**
 * A link whose messages come and go by the wires of a flow: other nodes decide what is acknowledged when.
 * @param emit sends what is published, ready for an `mqtt out` node
 */
export function wiredLink(emit: (publish: WiredPublish) => void): WiredLink {
  const state = new LinkStateHolder('connected');
  const handlers = new Subscriptions<MessageHandler>();

  return {
    get state() {
      return state.state;
    },
    onState: (listener) => state.onState(listener),
    async subscribe(filter: string, options: SubscribeOptions, handler: MessageHandler) {
      if (options.share !== undefined) {
        throw new FieldloomError(
          'shared_subscription_unsupported',
          `${filter}: messages that come by wire cannot be shared out`,
        );
      }
      checkFilter(filter);
      const remove = handlers.add(filter, handler);
      return { close: async () => remove() };
    },
    async publish(topic: string, payload: Buffer | string, { qos, retain = false }: PublishOptions) {
      if (state.state === 'closed') throw new FieldloomError('link_closed', `${topic}: the link is closed`);
      emit({ topic, payload: Buffer.from(payload as string), qos, retain });
    },
    async deliver(message) {
      const found = handlers.match(message.topic);
      await Promise.all(found.map((handler) => handler(message)));
      return found.length > 0;
    },
    close: () => state.set('closed'),
  };
}
