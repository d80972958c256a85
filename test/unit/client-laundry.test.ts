import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  addChanges,
  addLiveness,
  applyLiveness,
  applyMessage,
  type Change,
  changeOf,
  emptyShop,
  forgetBefore,
  type Shop,
  withStatistics,
} from '../../client/laundry-state.js';
import { keptStrips, STRIP_MS, stripOf, timeIn } from '../../client/laundry-strip.js';
import { type LaundryPageState, type ShownShop, viewOf } from '../../client/laundry-view.js';
import type { ChangeWire, DeadLetterWire, MachineStatus } from '../../client/laundry-wire.js';

const NOW = Date.UTC(2024, 0, 15, 12);
const MIN = 60_000;
const H = 60 * MIN;
const iso = (at: number) => new Date(at).toISOString();

const STORE = '6ba7b811-9dad-11d1-80b4-00c04fd430c8';
const FIRST = '6ba7b810-9dad-11d1-80b4-00c04fd430c8';
const SECOND = '8f14e45f-9dad-11d1-80b4-00c04fd430c8';

const changeWire = (
  at: number,
  status: MachineStatus,
  previous: MachineStatus | null,
  relay = 1,
): ChangeWire => ({
  controller_id: FIRST,
  relay_id: relay,
  machine_type: 'washer',
  status,
  previous_status: previous,
  last_updated: iso(at),
  received_at: iso(at),
});
const change = (...args: Parameters<typeof changeWire>): Change => changeOf(changeWire(...args));

/** Two controllers: the first with a busy washer and an idle machine of unknown kind, the second offline. */
function shopOf(): Shop {
  return applyMessage(emptyShop(STORE), {
    type: 'snapshot',
    data: {
      store_id: STORE,
      controllers: [
        {
          controller_id: SECOND,
          online: false,
          last_seen: iso(NOW - 10 * MIN),
          machines: [
            {
              relay_id: 7,
              machine_type: 'dryer',
              status: 'unknown',
              last_status: 'busy',
              last_updated: iso(NOW - 10 * MIN),
              since: iso(NOW - 30 * MIN),
            },
          ],
        },
        {
          controller_id: FIRST,
          online: true,
          last_seen: iso(NOW - 5000),
          machines: [
            {
              relay_id: 2,
              machine_type: null,
              status: 'idle',
              last_updated: iso(NOW),
              since: iso(NOW - 5 * H),
            },
            {
              relay_id: 1,
              machine_type: 'washer',
              status: 'busy',
              last_updated: iso(NOW),
              since: iso(NOW - 23 * MIN),
            },
          ],
        },
      ],
    },
  });
}

const machinesOf = (shop: Shop) =>
  shop.controllers.flatMap(({ machines }) => machines.map(({ relayId, status }) => `${relayId} ${status}`));

describe('state of a shop', () => {
  it('sorts controllers by id and machines by relay', () => {
    assert.deepEqual(machinesOf(shopOf()), ['1 busy', '2 idle', '7 unknown']);
  });

  it('takes a change of a machine it knows', () => {
    const shop = applyMessage(shopOf(), { type: 'change', data: changeWire(NOW, 'idle', 'busy') });
    assert.deepEqual(machinesOf(shop), ['1 idle', '2 idle', '7 unknown']);
    assert.equal(shop.controllers[0]?.machines[0]?.since, NOW);
    assert.equal(shop.recent[0]?.status, 'idle');
  });

  it('takes a machine it hears of for the first time, and its controller', () => {
    const shop = applyMessage(emptyShop(STORE), { type: 'change', data: changeWire(NOW, 'busy', null) });
    assert.deepEqual(machinesOf(shop), ['1 busy']);
    assert.equal(shop.controllers[0]?.online, true);
  });

  it('leaves machines unknown while their controller is away, and knows them again when it is back', () => {
    const away = { controller_id: FIRST, online: false, last_seen: iso(NOW) };
    const gone = applyMessage(shopOf(), { type: 'controller', data: away });
    assert.deepEqual(machinesOf(gone), ['1 unknown', '2 unknown', '7 unknown']);
    const back = applyMessage(gone, { type: 'controller', data: { ...away, online: true } });
    assert.deepEqual(machinesOf(back), ['1 busy', '2 idle', '7 unknown']);
  });

  it('remembers absences, from the history and as they end, each once', () => {
    const away = (online: boolean, at: number) => ({ controller_id: FIRST, online, at: iso(at) });
    const told = addLiveness(shopOf(), [
      away(true, NOW - H),
      away(false, NOW - 2 * H),
      away(true, NOW - 5 * H),
    ]);
    const expected = [
      { from: 0, to: NOW - 5 * H },
      { from: NOW - 2 * H, to: NOW - H },
    ];
    assert.deepEqual(told.outages.get(FIRST), expected);
    const gone = applyLiveness(told, FIRST, false, NOW);
    const back = applyLiveness(gone, FIRST, true, NOW + H);
    const last = { from: NOW, to: NOW + H };
    assert.deepEqual(back.outages.get(FIRST), [...expected, last]);
    const again = addLiveness(back, [away(true, NOW + H), away(false, NOW)]);
    assert.deepEqual(again.outages.get(FIRST), [...expected, last]);
    assert.deepEqual(forgetBefore(again, NOW).outages.get(FIRST), [last]);
  });

  it('never moves a last word back', () => {
    const data = { controller_id: FIRST, online: true, last_seen: iso(NOW - H) };
    assert.equal(applyMessage(shopOf(), { type: 'controller', data }).controllers[0]?.lastSeen, NOW - 5000);
  });

  it('ignores a message of a kind it does not know', () => {
    const shop = shopOf();
    assert.equal(applyMessage(shop, { type: 'weather' } as never), shop);
  });

  it('comes to the same history in whatever order and however often changes come', () => {
    const all = [0, 1, 2, 3, 4, 5].map((n) =>
      change(NOW - (6 - n) * H, n % 2 ? 'idle' : 'busy', null, (n % 2) + 1),
    );
    const expected = addChanges(emptyShop(STORE), all);
    fc.assert(
      fc.property(fc.array(fc.array(fc.constantFrom(...all))), (parts) => {
        const shop = [...parts, all].reduce((sum, part) => addChanges(sum, part), emptyShop(STORE));
        assert.deepEqual(shop.history, expected.history);
        assert.deepEqual(shop.recent, expected.recent);
      }),
    );
  });

  it('keeps the last change before the strip begins, and forgets what is older', () => {
    const changes = [
      change(NOW - 30 * H, 'busy', null),
      change(NOW - 26 * H, 'idle', 'busy'),
      change(NOW - H, 'busy', 'idle'),
    ];
    const shop = forgetBefore(addChanges(emptyShop(STORE), changes), NOW - STRIP_MS);
    assert.deepEqual(
      [...shop.history.values()].flat().map(({ at }) => at),
      [NOW - 26 * H, NOW - H],
    );
  });
});

describe('strip of the last 24 hours', () => {
  const machine = { lastStatus: 'busy' as const, since: NOW - H };
  const shape = (...args: Parameters<typeof stripOf>) =>
    stripOf(...args).map(({ from, to, status }) => [(from - NOW) / H, (to - NOW) / H, status]);

  it('shows each stretch between two changes', () => {
    const changes = [
      change(NOW - 3 * H, 'busy', 'idle'),
      change(NOW - 2 * H, 'idle', 'busy'),
      change(NOW - H, 'busy', 'idle'),
    ];
    assert.deepEqual(shape(machine, changes, undefined, NOW), [
      [-24, -3, 'idle'],
      [-3, -2, 'busy'],
      [-2, -1, 'idle'],
      [-1, 0, 'busy'],
    ]);
  });

  it('does not know a machine before its first state', () => {
    assert.deepEqual(shape(machine, [change(NOW - H, 'busy', null)], undefined, NOW), [
      [-24, -1, 'unknown'],
      [-1, 0, 'busy'],
    ]);
  });

  it('does not know a machine since its controller was last heard', () => {
    assert.deepEqual(shape(machine, [change(NOW - 2 * H, 'busy', 'idle')], NOW - H, NOW), [
      [-24, -2, 'idle'],
      [-2, -1, 'busy'],
      [-1, 0, 'unknown'],
    ]);
  });

  it('does not know a machine while its controller was away', () => {
    const outages = [
      { from: 0, to: NOW - 23 * H },
      { from: NOW - 3 * H, to: NOW - 2 * H },
    ];
    const quiet = { lastStatus: 'idle' as const, since: NOW - 40 * H };
    const apart = [
      [-24, -23, 'unknown'],
      [-23, -3, 'idle'],
      [-3, -2, 'unknown'],
      [-2, 0, 'idle'],
    ];
    assert.deepEqual(shape(quiet, [], undefined, NOW, outages), apart);
  });

  it('knows what a controller told later of the time it was away', () => {
    const outages = [{ from: NOW - 3 * H, to: NOW - H }];
    assert.deepEqual(shape(machine, [change(NOW - 2 * H, 'busy', 'idle')], undefined, NOW, outages), [
      [-24, -2, 'idle'],
      [-2, 0, 'busy'],
    ]);
  });

  it('is whole with a state that is older than the strip', () => {
    assert.deepEqual(shape({ lastStatus: 'idle', since: NOW - 40 * H }, [], undefined, NOW), [
      [-24, 0, 'idle'],
    ]);
  });

  it('says what the state itself says while the history is not there yet', () => {
    assert.deepEqual(shape(machine, [], undefined, NOW), [
      [-24, -1, 'unknown'],
      [-1, 0, 'busy'],
    ]);
  });

  it('always covers exactly 24 hours without hole or overlap', () => {
    const changesOf = fc
      .array(
        fc.record({ ago: fc.integer({ min: -2 * H, max: 30 * H }), busy: fc.boolean(), first: fc.boolean() }),
      )
      .map((list) =>
        list
          .map(({ ago, busy, first }) => change(NOW - ago, busy ? 'busy' : 'idle', first ? null : 'idle'))
          .sort((a, b) => a.at - b.at),
      );
    const outagesOf = fc
      .array(fc.integer({ min: -2 * H, max: 30 * H }), { maxLength: 6 })
      .map((agos) => agos.sort((a, b) => b - a).map((ago) => NOW - ago))
      .map((times) =>
        times.flatMap((to, index) => (index % 2 === 1 ? [{ from: times[index - 1] as number, to }] : [])),
      );
    const lastSeenOf = fc.option(fc.integer({ min: NOW - 30 * H, max: NOW + H }), { nil: undefined });
    fc.assert(
      fc.property(changesOf, lastSeenOf, outagesOf, (changes, lastSeen, outages) => {
        const segments = stripOf(machine, changes, lastSeen, NOW, outages);
        assert.equal(segments[0]?.from, NOW - STRIP_MS);
        assert.equal(segments.at(-1)?.to, NOW);
        for (const [index, segment] of segments.entries()) {
          assert.ok(segment.to > segment.from);
          const next = segments[index + 1];
          if (next === undefined) continue;
          assert.equal(next.from, segment.to);
          assert.notEqual(next.status, segment.status);
        }
        const { busy, idle, unknown } = timeIn(segments);
        assert.equal(busy + idle + unknown, STRIP_MS);
      }),
    );
  });

  it('is kept until the machine, its history or the minute is another', () => {
    const strips = keptStrips();
    const shop = addChanges(shopOf(), [change(NOW - 23 * MIN, 'busy', 'idle')]);
    const controller = shop.controllers[0];
    const first = controller?.machines[0];
    assert.ok(controller && first);
    const strip = strips(first, shop, controller, NOW);
    assert.equal(strips(first, shop, controller, NOW + 59_000), strip);
    assert.notEqual(strips(first, shop, controller, NOW + 60_000), strip);
    const changed = addChanges(shop, [change(NOW - 50 * MIN, 'idle', 'busy')]);
    assert.notEqual(strips(first, changed, controller, NOW), strip);
  });
});

describe('view of the page Laundry', () => {
  const pageState = (part: Partial<LaundryPageState> = {}): LaundryPageState => ({
    username: undefined,
    storeIds: [STORE],
    chosen: undefined,
    shown: [{ shop: shopOf(), feed: { kind: 'live', asOf: NOW }, loaded: true }],
    filters: new Map(),
    reachable: true,
    answeredAt: NOW,
    problem: undefined,
    login: undefined,
    refused: { items: [], more: false, problem: undefined, replays: new Map() },
    ...part,
  });
  const view = (part: Partial<LaundryPageState> = {}, now = NOW) =>
    viewOf(pageState(part), keptStrips(), now);
  const shown = (part: Partial<ShownShop>): ShownShop[] => [
    { shop: shopOf(), feed: { kind: 'live', asOf: NOW }, loaded: true, ...part },
  ];
  const letter = (part: Partial<DeadLetterWire> = {}): DeadLetterWire => ({
    id: 5,
    received_at: iso(NOW - 20_000),
    protocol: 'laundry',
    topic: '/stores/x/controllers/y/metrics',
    code: 'schema_mismatch',
    message: 'status is "broken"; accepted: idle, busy',
    pointer: '/payload/machines/1/status',
    payload_base64: Buffer.from('{}').toString('base64'),
    ...part,
  });

  it('is loading, empty, an error or a login before it is ready', () => {
    const problem = { code: 'store_unavailable', message: 'The database does not answer.' };
    assert.equal(view({ storeIds: undefined, shown: [] }).phase, 'loading');
    assert.equal(view({ storeIds: [], shown: [] }).phase, 'empty');
    assert.equal(view({ storeIds: undefined, shown: [], problem }).phase, 'error');
    assert.equal(view({ login: { pending: false, error: undefined, purpose: 'read' } }).phase, 'login');
    assert.equal(view({ login: { pending: false, error: undefined, purpose: 'replay' } }).phase, 'ready');
  });

  it('says kind, number, state and since when of each machine', () => {
    const tiles = view().shops[0]?.controllers.flatMap((controller) => controller.tiles) ?? [];
    assert.deepEqual(
      tiles.map(({ title, statusWord, age }) => [title, statusWord, age]),
      [
        ['Washer 1', 'Busy', '23 min'],
        ['Machine 2', 'Idle', '5 h'],
        ['Dryer 7', 'Unknown', 'was busy'],
      ],
    );
    assert.match(tiles[0]?.exact ?? '', /^Busy since .*\d/);
  });

  it('shows today’s figures of each machine, and of the shop as the mean of its machines', () => {
    const statistics = (relay: number, share: number, cycles: number) => ({
      controller_id: FIRST,
      relay_id: relay,
      busy_s: 1,
      busy_share: share,
      cycles,
      changes: 2,
    });
    const shop = withStatistics(shopOf(), [statistics(1, 0.5, 3), statistics(2, 0.1, 1)]);
    const [shopShown] = view({ shown: shown({ shop }) }).shops;
    assert.deepEqual([shopShown?.busyShare, shopShown?.cycles], ['20 %', '4']);
    assert.deepEqual(
      shopShown?.controllers[0]?.tiles.map(({ cycles, share }) => [cycles, share]),
      [
        ['3 cycles', '50 % busy'],
        ['1 cycle', '10 % busy'],
      ],
    );
  });

  it('shows no figures as long as there are none', () => {
    assert.equal(view().shops[0]?.busyShare, '–');
  });

  it('puts offline controllers first among what needs attention, then refused messages', () => {
    const { attention } = view({
      refused: { items: [letter()], more: false, problem: undefined, replays: new Map() },
    });
    assert.deepEqual(
      attention.map(({ kind, title }) => [kind, title]),
      [
        ['offline', 'Controller 8f14e45f is offline for 10 min'],
        ['refused', '1 message refused in the last 24 hours'],
      ],
    );
  });

  it('no longer asks attention for refused messages that were accepted on replay', () => {
    const replays = new Map([['5', { kind: 'accepted' as const }]]);
    const { attention } = view({ refused: { items: [letter()], more: false, problem: undefined, replays } });
    assert.deepEqual(
      attention.map(({ kind }) => kind),
      ['offline'],
    );
  });

  it('counts machines by state and shows those of the chosen one', () => {
    const [shop] = view({ filters: new Map([[STORE, 'busy' as const]]) }).shops;
    assert.deepEqual(
      shop?.counts.map(({ word, count, pressed }) => [word, count, pressed]),
      [
        ['All', 3, false],
        ['Busy', 1, true],
        ['Idle', 1, false],
        ['Unknown', 1, false],
      ],
    );
    assert.deepEqual(
      shop?.controllers.map(({ tiles }) => tiles.map(({ title }) => title)),
      [['Washer 1']],
    );
  });

  it('is compact with sixty machines and more', () => {
    const machines = Array.from({ length: 60 }, (_, index) => changeWire(NOW - H, 'busy', null, index + 1));
    const shop = machines.reduce(
      (sum, data) => applyMessage(sum, { type: 'change', data }),
      emptyShop(STORE),
    );
    assert.equal(view({ shown: shown({ shop }) }).shops[0]?.compact, true);
    assert.equal(view().shops[0]?.compact, false);
  });

  it('offers a choice only where there is more than one shop', () => {
    assert.deepEqual(view().choices, []);
    const { choices } = view({ storeIds: [STORE, 'c9f0f895-9dad'], chosen: STORE });
    assert.deepEqual(
      choices.map(({ label, chosen }) => [label, chosen]),
      [
        ['All shops', false],
        ['Shop 6ba7b811', true],
        ['Shop c9f0f895', false],
      ],
    );
  });

  it('looks live, stale, disconnected and connecting in four different ways', () => {
    const asOf = NOW - 12_000;
    const looks = [
      view(),
      view({ shown: shown({ feed: { kind: 'stale', asOf, retryAt: NOW + 3000 } }) }),
      view({ shown: shown({ feed: { kind: 'disconnected', asOf, retryAt: NOW + 3000 } }) }),
      view({ shown: shown({ feed: { kind: 'connecting' }, loaded: false }) }),
    ].map(({ connection }) => connection);
    assert.deepEqual(
      looks.map(({ look, word }) => [look, word]),
      [
        ['live', 'Live'],
        ['stale', 'As of 12 s ago'],
        ['disconnected', 'Not connected'],
        ['connecting', 'Connecting'],
      ],
    );
    assert.equal(new Set(looks.map(({ icon }) => icon)).size, 4);
    assert.match(looks[2]?.text ?? '', /12 s ago\. Trying again in 3 s\./);
  });

  it('is disconnected where no feed says so but the gateway does not answer', () => {
    const { connection } = view({ storeIds: [], shown: [], reachable: false });
    assert.equal(connection.look, 'disconnected');
  });

  it('does not let ages grow past the last word while it is not connected', () => {
    const feed = { kind: 'disconnected', asOf: NOW, retryAt: NOW + 10 * MIN } as const;
    const tile = view({ shown: shown({ feed }) }, NOW + 5 * MIN).shops[0]?.controllers[0]?.tiles[0];
    assert.equal(tile?.age, '23 min');
  });

  it('tells a shop that is gone from one that is forbidden', () => {
    const states = (['not_found', 'forbidden'] as const).map(
      (reason) =>
        view({ shown: shown({ feed: { kind: 'refused', reason }, loaded: false }) }).shops[0]?.state,
    );
    assert.deepEqual(states, ['not_found', 'forbidden']);
  });

  it('lists the newest changes of all shops, newest first', () => {
    const shop = addChanges(shopOf(), [change(NOW - H, 'idle', 'busy'), change(NOW - 2 * H, 'busy', null)]);
    assert.deepEqual(
      view({ shown: shown({ shop }) }).changes.map(({ machine, from, toWord }) => [machine, from, toWord]),
      [
        ['Washer 1', 'Busy', 'Idle'],
        ['Washer 1', 'first heard', 'Busy'],
      ],
    );
  });

  it('shows reason, place, payload and outcome of replay of a refused message', () => {
    const replays = new Map([['5', { kind: 'refused_again' as const, message: 'still broken' }]]);
    const { refused } = view({ refused: { items: [letter()], more: true, problem: undefined, replays } });
    const [item] = refused.items;
    assert.equal(refused.count, '1+');
    assert.deepEqual(
      [item?.code, item?.pointer, item?.payload.text, item?.ago, item?.replay.text],
      ['schema_mismatch', '/payload/machines/1/status', '{}', '20 s ago', 'Refused again: still broken'],
    );
  });

  it('draws a tile again only when something on it is another', () => {
    const memo = (now: number) => view({}, now).shops[0]?.controllers[0]?.tiles[0]?.memo;
    assert.equal(memo(NOW), memo(NOW + 900));
    assert.notEqual(memo(NOW), memo(NOW + MIN));
  });
});
