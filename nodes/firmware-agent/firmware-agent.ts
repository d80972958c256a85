import { join } from 'node:path';
import type { NodeAPI } from 'node-red';
import { systemClock } from '../../lib/core/clock.js';
import { FieldloomError } from '../../lib/core/errors.js';
import type { Link, Subscription } from '../../lib/core/link.js';
import { readAnswer } from '../../lib/firmware/agent-answer.js';
import { agentFiles } from '../../lib/firmware/agent-files.js';
import { type Agent, createAgent } from '../../lib/firmware/agent-runner.js';
import { readPublicKey } from '../../lib/firmware/signature.js';
import { wiredLink } from '../../lib/mqtt/wired-link.js';
import { agentStore } from '../../lib/store/firmware-agent.js';
import { arrivalOf } from '../runtime/arrival.js';
import { defineNode } from '../runtime/define-node.js';
import { uuidSetting } from '../runtime/ids.js';
import { positiveNumber } from '../runtime/numbers.js';
import type { ProvidedStore } from '../store/store.js';
import { outputs } from './outputs.js';

interface Config {
  connection: string;
  store: string;
  storeId: string;
  controllerId: string;
  prefix: string;
  directory: string;
  installedVersion: string;
  /** MiB. */
  maxSize: string;
  /** Separated by commas or spaces. */
  allowedHosts: string;
  /** An Ed25519 public key; empty: images need no signature. */
  verifyWith: string;
  downgrade: boolean;
  /** Hours. */
  downloadTime: string;
  /** Minutes. */
  installTime: string;
}

const MIB = 1024 * 1024;
const MINUTE_MS = 60_000;

export = (RED: NodeAPI): void => {
  defineNode<Config>(RED, 'fieldloom-firmware-agent', (context) => {
    const { config, log, status, closed } = context;
    const storeId = uuidSetting('store id', config.storeId);
    const controllerId = uuidSetting('controller id', config.controllerId);
    const { store } = context.use<ProvidedStore>(config.store, 'store');
    const connection = context.useOptional<{ link: Link }>(config.connection, 'connection');
    const wired = wiredLink((publish) => context.send(null, null, null, { ...publish }));
    const link = connection?.link ?? wired;
    const userDirectory = (RED.settings as { userDir?: string }).userDir ?? '.';
    // A folder of its own: what is not of this agent's deployments is removed from it.
    const folder = join(config.directory || join(userDirectory, 'firmware-agent'), controllerId);
    const allowedHosts = (config.allowedHosts ?? '').split(/[\s,]+/).filter((host) => host !== '');
    const publicKey = config.verifyWith ? readPublicKey(config.verifyWith) : undefined;
    const settings = {
      maxBytes: positiveNumber('largest image', config.maxSize, 1024) * MIB,
      allowedHosts,
      signed: publicKey !== undefined,
      downgrade: Boolean(config.downgrade),
      downloadMs: positiveNumber('download time', config.downloadTime, 24) * 60 * MINUTE_MS,
      installMs: positiveNumber('installation time', config.installTime, 60) * MINUTE_MS,
    };
    let agent: Agent | undefined;
    let subscription: Subscription | undefined;

    async function begin(): Promise<Agent> {
      status('waiting', 'store');
      const opened = await store;
      agent = createAgent({
        storeId,
        controllerId,
        link,
        store: agentStore(opened, `${storeId}/${controllerId}`),
        files: agentFiles({ folder, allowedHosts, publicKey, clock: systemClock }),
        clock: systemClock,
        log,
        listener: outputs(context.send, status),
        prefix: config.prefix ?? '',
        settings,
        installedVersion: config.installedVersion || undefined,
      });
      if (closed.aborted) return agent;
      status('idle', 'ready');
      await agent.start();
      subscription = await link.subscribe(agent.topic, { qos: 1 }, agent.handle);
      return agent;
    }
    const ready = begin();

    return {
      async start() {
        await ready;
      },
      async input(message) {
        const { installed_version: version, firmware } = message;
        if (version !== undefined) {
          if (typeof version !== 'string' || version === '') {
            throw new FieldloomError(
              'invalid_input',
              'msg.installed_version: accepted is the version as text',
            );
          }
          return (await ready).installed(version);
        }
        if (firmware !== undefined) {
          const { deploymentId, answer } = readAnswer(message);
          return (await ready).answer(deploymentId, answer);
        }
        const arrival = arrivalOf(message);
        await ready;
        await wired.deliver({ ...arrival, qos: 1 });
      },
      async close() {
        await subscription?.close();
        await agent?.close();
        wired.close();
      },
    };
  });
};
