import { type Command, InvalidArgumentError } from 'commander';
import type { Access } from '../../lib/access/access.js';
import { checkedPond, DEFAULT_FEED_LIMIT_G, type Pond, type Threshold } from '../../lib/command/pond.js';
import { FieldloomError } from '../../lib/core/errors.js';
import { LARGEST_LIMIT } from '../../lib/store/page.js';
import { type Ponds, ponds } from '../../lib/store/pond.js';
import { type Output, print, type Terminal, table, withAccess } from './context.js';

interface AddOptions extends Output {
  owner?: string;
  device?: string;
  position?: number;
  name?: string;
  feedLimit: number;
  threshold: Record<string, Threshold>;
}

const optionOf = (field: string) => `--${field.replace('_', '-')}`;

function whole(text: string): number {
  if (!/^\d{1,10}$/.test(text)) throw new InvalidArgumentError('Accepted is a whole number.');
  return Number(text);
}

/** `temperature=18:30`; one end may be left out. */
function collectThreshold(text: string, thresholds: Record<string, Threshold>): Record<string, Threshold> {
  const number = '[+-]?\\d+(?:\\.\\d+)?';
  const [, name, min, max] = new RegExp(`^([^=]+)=(${number})?:(${number})?$`).exec(text) ?? [];
  if (name === undefined) {
    throw new InvalidArgumentError(
      'Accepted is NAME=MIN:MAX such as temperature=18:30; one may be left out.',
    );
  }
  const threshold = {
    ...(min !== undefined && { min: Number(min) }),
    ...(max !== undefined && { max: Number(max) }),
  };
  return { ...thresholds, [name]: threshold };
}

/** @throws FieldloomError missing_setting */
function wanted<T>(value: T | undefined, option: string): T {
  if (value === undefined) throw new FieldloomError('missing_setting', `${option} is missing`);
  return value;
}

async function ownerOf(access: Access, name: string): Promise<number> {
  const owner = await access.userByName(name);
  if (owner === undefined) throw new FieldloomError('not_found', `there is no user ${JSON.stringify(name)}`);
  return owner.userId;
}

async function allPonds(store: Ponds): Promise<Pond[]> {
  const found: Pond[] = [];
  let cursor: string | null = null;
  do {
    const page: Awaited<ReturnType<Ponds['page']>> = await store.page({
      limit: LARGEST_LIMIT,
      ...(cursor !== null && { cursor }),
    });
    found.push(...page.items);
    cursor = page.next_cursor;
  } while (cursor !== null);
  return found.reverse();
}

const describe = (pond: Pond, owner: string | null) => ({
  pond_id: pond.pondId,
  name: pond.name,
  owner,
  device_id: pond.device,
  position: pond.position,
  feed_limit_g: pond.feedLimitG,
  thresholds: pond.thresholds,
});

function listText(listed: readonly ReturnType<typeof describe>[]): string {
  if (listed.length === 0) return 'There are no ponds yet: make one with "fieldloom pond add".';
  return table(
    ['POND', 'NAME', 'OWNER', 'DEVICE', 'POSITION', 'FEED LIMIT'],
    listed.map((pond) => [
      String(pond.pond_id),
      pond.name,
      pond.owner ?? '(revoked)',
      pond.device_id,
      String(pond.position),
      `${pond.feed_limit_g} g`,
    ]),
  );
}

/** `fieldloom pond …`: ponds, their owners and their devices (contract.md "Command line"). */
export function pondCommands(parent: Command, terminal: Terminal): void {
  const pond = parent.command('pond').description('ponds: whose they are, and which device serves them');

  pond
    .command('add')
    .description('make a pond; prints its id')
    .option('--owner <name>', 'the user it belongs to')
    .option('--device <id>', 'the device that serves it')
    .option('--position <number>', 'which of the device’s ponds it is, from 1', whole)
    .option('--name <text>', 'what people call it')
    .option('--feed-limit <grams>', 'most that one feed command may ask for', whole, DEFAULT_FEED_LIMIT_G)
    .option(
      '--threshold <name=min:max>',
      'limits of a sensor value, such as temperature=18:30; may be given several times',
      collectThreshold,
      {},
    )
    .action(async (_options: object, command: Command) => {
      const options = command.optsWithGlobals<AddOptions>();
      const owner = wanted(options.owner, '--owner');
      const definition = {
        name: wanted(options.name, '--name'),
        device: wanted(options.device, '--device'),
        position: wanted(options.position, '--position'),
        feedLimitG: options.feedLimit,
        thresholds: options.threshold,
      };
      checkedPond({ ...definition, ownerId: 0 }, optionOf);
      const { pondId } = await withAccess(terminal, async (access, store) =>
        ponds(store).add({ ...definition, ownerId: await ownerOf(access, owner) }),
      );
      const text = `Pond ${pondId} is made: ${definition.name}, position ${definition.position} of device ${definition.device}.`;
      print(terminal, options, { pond_id: pondId }, text);
    });

  pond
    .command('list')
    .description('all ponds, by their ids')
    .action(async (_options: object, command: Command) => {
      const listed = await withAccess(terminal, async (access, store) => {
        const names = new Map((await access.listUsers()).map((user) => [user.userId, user.username]));
        return (await allPonds(ponds(store))).map((each) => describe(each, names.get(each.ownerId) ?? null));
      });
      print(terminal, command.optsWithGlobals<Output>(), listed, listText(listed));
    });

  pond
    .command('remove')
    .argument('<id>', 'its number', whole)
    .description('remove a pond; its device may then serve another, its history is seen no more')
    .action(async (pondId: number, _options: object, command: Command) => {
      await withAccess(terminal, (_access, store) => ponds(store).remove(pondId));
      const document = { pond_id: pondId, removed: true };
      print(terminal, command.optsWithGlobals<Output>(), document, `Pond ${pondId} is removed.`);
    });
}
