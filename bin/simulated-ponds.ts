import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Access } from '../lib/access/access.js';
import type { UserPrincipal } from '../lib/access/principal.js';
import { secret } from '../lib/access/secrets.js';
import type { PondDefinition } from '../lib/command/pond.js';
import { hasCode } from '../lib/core/errors.js';
import { ponds } from '../lib/store/pond.js';
import type { Store } from '../lib/store/store.js';
import type { FlowNode } from './compose.js';

/** Whose the simulated ponds are, and who may update the simulated controllers and command the simulated machines. */
const OWNER = 'demo';
const PASSWORD_FILE = 'demo-password';

type SimulatedPond = Omit<PondDefinition, 'ownerId'>;

/** What a simulator's tick says of its device. */
interface Tick {
  device: string;
  ponds: { position: number; name: string; feed_limit_g: number; thresholds: PondDefinition['thresholds'] }[];
}

/** The ponds that the flows simulate: what the ticks of their devices name. */
export function simulatedPonds(nodes: readonly FlowNode[]): SimulatedPond[] {
  return nodes
    .filter(({ type, z }) => type === 'inject' && z === 'simulators-ponds')
    .flatMap(({ payload }) => {
      const { device, ponds } = JSON.parse(String(payload)) as Tick;
      return ponds.map(({ position, name, feed_limit_g, thresholds }) => ({
        device,
        position,
        name,
        feedLimitG: feed_limit_g,
        thresholds,
      }));
    });
}

export interface DemoOwner {
  name: string;
  /** The password itself is shown nowhere. */
  passwordFile: string;
  /** Somebody else has this name already: then there are no simulated ponds. */
  taken: boolean;
  /** The ponds are new: their past may be told. */
  newPonds: boolean;
}

/**
 * Makes the owner of the simulated ponds and the ponds, once; without simulation the owner is revoked and the ponds go.
 * @param directory of the secrets
 * @param rights stores and companies of the simulated machines, which the owner sees and may change too
 */
export async function prepareSimulatedPonds(
  store: Store,
  access: Access,
  directory: string,
  wanted: readonly SimulatedPond[],
  rights: { stores: readonly string[]; companies: readonly string[] },
  simulate: boolean,
): Promise<DemoOwner | undefined> {
  const passwordFile = join(directory, PASSWORD_FILE);
  const owner = await ownerOf(access, directory);
  if (!simulate) {
    if (owner !== undefined && owner !== 'taken') {
      await removePonds(store, owner, wanted);
      await access.revokeUser(OWNER);
    }
    if (owner !== 'taken') await rm(passwordFile, { force: true });
    return undefined;
  }
  if (owner === 'taken') return { name: OWNER, passwordFile, taken: true, newPonds: false };
  const { stores, companies } = rights;
  // One that an earlier version has made may not have all of them yet.
  const lacks =
    owner !== undefined &&
    !(
      stores.every((store) => owner.stores.includes(store)) &&
      companies.every((company) => owner.companies.includes(company))
    );
  if (lacks) await access.setUserRights(OWNER, { admin: false, stores, companies });
  const { userId } =
    owner ?? (await access.addUser(OWNER, await secret(directory, PASSWORD_FILE), { stores, companies }));
  const newPonds = await addPonds(store, userId, wanted);
  return { name: OWNER, passwordFile, taken: false, newPonds };
}

/** A user of this name whose password is another is not ours to use or to revoke. */
async function ownerOf(access: Access, directory: string): Promise<UserPrincipal | 'taken' | undefined> {
  if ((await access.userByName(OWNER)) === undefined) return undefined;
  if (!existsSync(join(directory, PASSWORD_FILE))) return 'taken';
  const password = await secret(directory, PASSWORD_FILE);
  return access.verifyUser(OWNER, password, 'start').catch((error: unknown) => {
    if (hasCode(error, 'unauthenticated')) return 'taken';
    throw error;
  });
}

/** @returns true where one had to be made */
async function addPonds(store: Store, ownerId: number, wanted: readonly SimulatedPond[]): Promise<boolean> {
  const stored = ponds(store);
  let made = false;
  for (const pond of wanted) {
    const [present] = await stored.ofDevice(pond.device, pond.position);
    if (present !== undefined) continue;
    await stored.add({ ...pond, ownerId });
    made = true;
  }
  return made;
}

async function removePonds(
  store: Store,
  { userId }: UserPrincipal,
  wanted: readonly SimulatedPond[],
): Promise<void> {
  const stored = ponds(store);
  for (const pond of wanted) {
    const [present] = await stored.ofDevice(pond.device, pond.position);
    if (present?.ownerId === userId) await stored.remove(present.pondId);
  }
}
