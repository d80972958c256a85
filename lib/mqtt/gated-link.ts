import { FieldloomError } from '../core/errors.js';
import type { Gateways } from '../core/gateways.js';
import type { Link, LinkState } from '../core/link.js';
import { LinkStateHolder } from './link-state.js';

/** A link that sends nothing while another gateway may have taken over. */
export interface GatedLink extends Link {
  /** Forgets the link and the gateways; both stay open. */
  release(): void;
}

/** @param may for each publish: whether what asks for it is still to be done by this gateway */
export function gatedLink(link: Link, gateways: Pick<Gateways, 'onLook'>, may: () => boolean): GatedLink {
  const stateNow = (): LinkState => (link.state === 'connected' && !may() ? 'disconnected' : link.state);
  const told = new LinkStateHolder(stateNow());
  const look = () => told.set(stateNow());
  const forget = [link.onState(look), gateways.onLook(look)];
  return {
    get state() {
      return stateNow();
    },
    onState: (listener) => told.onState(listener),
    subscribe: (filter, options, handler) => link.subscribe(filter, options, handler),
    async publish(topic, payload, options) {
      if (!may()) {
        throw new FieldloomError(
          'not_connected',
          `${topic}: this gateway's lease does not hold, nothing is sent`,
        );
      }
      await link.publish(topic, payload, options);
    },
    release() {
      for (const each of forget) each();
    },
  };
}
