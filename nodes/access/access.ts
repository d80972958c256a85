import type { NodeAPI } from 'node-red';
import { Access } from '../../lib/access/access.js';
import { accessRoutes } from '../../lib/access/http.js';
import { secret } from '../../lib/access/secrets.js';
import { Tickets } from '../../lib/access/tickets.js';
import { type TokenSigner, Tokens } from '../../lib/access/token.js';
import { FieldloomError } from '../../lib/core/errors.js';
import { defineNode } from '../runtime/define-node.js';
import { addGuard } from '../runtime/guard.js';
import { awaitReader } from '../runtime/health.js';
import { routes } from '../runtime/http.js';
import { addFigure } from '../runtime/metrics.js';
import type { ProvidedStore } from '../store/store.js';

interface Config {
  store: string;
  mode: string;
  directory: string;
  jwksUrl: string;
  origins: string;
}

/** What an access node offers to nodes that name it. */
export interface ProvidedAccess {
  /** Fulfils once the store is open. */
  access: Promise<Access>;
}

interface Opened {
  access: Access;
  tokens: Tokens;
  tickets: Tickets;
}

export = (RED: NodeAPI): void => {
  defineNode<Config>(RED, 'fieldloom-access', ({ config, log, closed, provide, use }) => {
    const { store } = use<ProvidedStore>(config.store, 'store');
    const mode = config.mode || 'token';
    if (mode !== 'open' && mode !== 'token') {
      throw new FieldloomError('invalid_setting', `mode is ${mode}: accepted is open or token`);
    }
    const userDirectory = (RED.settings as { userDir?: string }).userDir ?? '.';

    async function open(): Promise<Opened> {
      const access = await Access.open(await store, { log });
      // The node may have closed while the store opened.
      if (closed.aborted) access.close();
      const signer: TokenSigner = config.jwksUrl
        ? { jwksUrl: config.jwksUrl }
        : { secret: await secret(config.directory || userDirectory, 'jwt-secret') };
      return { access, tokens: new Tokens(access, signer), tickets: new Tickets(access) };
    }
    const opening = open();
    const access = opening.then((opened) => opened.access);
    // Whoever waits for it is told; nobody has to.
    access.catch(() => {});
    awaitReader(access, closed);
    provide({ access } satisfies ProvidedAccess);

    let opened: Opened | undefined;
    const whenOpen = () => {
      if (opened === undefined) throw new FieldloomError('store_unavailable', 'the store is not open yet');
      return opened;
    };
    const disposals = [
      addGuard(RED, {
        mode,
        origins: (config.origins ?? '').split(/[\s,]+/).filter((origin) => origin !== ''),
        verify: async (token) => whenOpen().tokens.verifyAccess(token),
        redeem: async (ticket) => whenOpen().tickets.redeem(ticket),
        onUserChanged: (listener) => {
          let stop = () => {};
          access.then(
            (known) => {
              stop = known.onUserChanged(listener);
            },
            () => {},
          );
          return () => stop();
        },
        user: async (userId) => whenOpen().access.user(userId),
      }),
      addFigure({
        name: 'fieldloom_mqtt_logins_total',
        help: 'MQTT logins by their outcome',
        labels: ['outcome'],
        read: () =>
          Object.entries(opened?.access.counts ?? {}).map(([outcome, value]) => ({
            value,
            labels: { outcome },
          })),
      }),
    ];

    return {
      async start() {
        opened = await opening;
        if (closed.aborted) return;
        disposals.push(routes(RED).add(accessRoutes(opened.access, opened.tokens, opened.tickets)));
      },
      close() {
        for (const dispose of disposals) dispose();
        opened?.access.close();
      },
    };
  });
};
