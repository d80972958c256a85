import assert from 'node:assert/strict';
import { AGENT } from '../../lib/firmware/agent.js';
import type { FetchOutcome } from '../../lib/firmware/agent-ports.js';
import { format } from '../../lib/firmware/codec.js';
import {
  AGENT_TOPICS,
  AgentBench,
  CORRELATION,
  DEPLOYMENT,
  deployment,
  updateMessage,
} from '../support/firmware-agent.js';
import { CONTROLLER_ID, STORE_ID } from '../support/seed.js';

const OTHER = '550e8400-e29b-41d4-a716-446655440009';
const ready = { outcome: 'ready' } as const;
const lost = { outcome: 'interrupted', reason: 'connection lost', progressed: false } as const;
const wrong = (pieced: boolean): FetchOutcome => ({ outcome: 'wrong', errors: ['MD5 differs'], pieced });

describe('the firmware agent', () => {
  const installing = async (options = {}) => {
    const bench = await AgentBench.start(options);
    await bench.update();
    await bench.fetched(ready);
    bench.words();
    return bench;
  };
  const answer = async (bench: AgentBench, result: 'installed' | 'cancelled' | string[]) => {
    const value = Array.isArray(result)
      ? ({ result: 'failed', errors: result } as const)
      : { result: result as 'installed' };
    await bench.agent.answer(DEPLOYMENT, value);
    await bench.settle();
  };

  it('acknowledges, downloads, hands the file on and reports the end, each on its topic', async () => {
    const bench = await AgentBench.start();
    await bench.update();
    assert.deepEqual(
      bench.said.map(({ topic, message }) => [topic, message.type, message.correlationId]),
      [[AGENT_TOPICS.ack, 'update_firmware_ack', CORRELATION]],
    );
    assert.equal(bench.folder.fetches[0]?.deploymentId, DEPLOYMENT);
    assert.equal(bench.installs.length, 0);
    await bench.fetched(ready);
    assert.deepEqual(
      bench.installs.map(({ path, record }) => [path, record.file?.firmwareVersion]),
      [[`/folder/${DEPLOYMENT}.bin`, '1.0.1']],
    );
    bench.words();
    await answer(bench, 'installed');
    assert.deepEqual(
      bench.said.map(({ topic, message }) => [topic, message.type, message.correlationId]),
      [[AGENT_TOPICS.action, 'update_firmware_completed', CORRELATION]],
    );
    assert.deepEqual(bench.states, ['downloading', 'installing', 'completed']);
    assert.deepEqual(bench.folder.removed, [DEPLOYMENT]);
    assert.equal(bench.clock.timers, 0);
  });

  it('reports what the flow says was wrong', async () => {
    const bench = await installing();
    await answer(bench, ['flash is broken', 'and so is the rest']);
    assert.deepEqual(bench.words(), ['failed: flash is broken; and so is the rest']);
    assert.deepEqual(bench.folder.removed, [DEPLOYMENT]);
  });

  describe('refuses, without an acknowledgement and for good,', () => {
    for (const [what, file, settings, reason] of [
      [
        'an image that is too large',
        { fileSize: 1001 },
        { maxBytes: 1000 },
        /file_size is 1001: at most 1000/,
      ],
      [
        'a URL of another scheme',
        { fileUrl: 'ftp://example.com/x' },
        {},
        /"ftp:": accepted is http or https/,
      ],
      ['a file of its own disk', { fileUrl: 'file:///etc/passwd' }, {}, /"file:": accepted is http or https/],
      ['what is no URL', { fileUrl: 'firmware.bin' }, {}, /accepted is an http or https URL/],
      ['a URL with a login', { fileUrl: 'https://a:b@example.com/x' }, {}, /holds a login/],
      ['another host', {}, { allowedHosts: ['gateway.example', '*.example'] }, /is on example.com: accepted/],
      ['an image without a signature', {}, { signed: true }, /signature is missing/],
      ['a lower version', { firmwareVersion: '0.9.9' }, {}, /0\.9\.9: lower than 1\.0\.0/],
    ] as const) {
      it(what, async () => {
        const bench = await AgentBench.start({ settings, installedVersion: '1.0.0' });
        await bench.update(DEPLOYMENT, file);
        const [word, ...more] = bench.words();
        assert.match(word ?? '', /^failed: /);
        assert.match(word ?? '', reason);
        assert.deepEqual(more, []);
        assert.equal(bench.folder.fetches.length, 0);
        // Also when it would be accepted now: a deployment has one end.
        const later = await bench.restart();
        await later.update();
        assert.deepEqual(later.words(), [word]);
      });
    }

    it('what there is no room for', async () => {
      const bench = new AgentBench();
      bench.folder.free = 500;
      await bench.update();
      assert.deepEqual(bench.words(), ['failed: file_size is 779: only 500 bytes are free']);
    });

    it('with every reason at once', async () => {
      const bench = await AgentBench.start({ settings: { maxBytes: 1, signed: true } });
      await bench.update(DEPLOYMENT, { fileUrl: 'ftp://x/y' });
      assert.equal(bench.words()[0]?.split('; ').length, 3);
    });

    it('a second deployment while one is under way', async () => {
      const bench = await AgentBench.start();
      await bench.update();
      await bench.update(deployment(2));
      assert.deepEqual(bench.words(), [
        'ack',
        `failed: deployment ${DEPLOYMENT} is under way (downloading): cancel it, or wait for its end`,
      ]);
      assert.equal(bench.folder.fetches.length, 1);
      await bench.cancel();
      await bench.update(deployment(3));
      assert.deepEqual(bench.words(), ['cancel ack', 'ack']);
    });

    it('a malformed command that names its deployment', async () => {
      const bench = await AgentBench.start();
      const text = format({
        storeId: STORE_ID,
        controllerId: CONTROLLER_ID,
        version: '1.0.0',
        correlationId: CORRELATION,
        timestamp: 0,
        type: 'update_firmware',
        deploymentId: DEPLOYMENT,
        firmwareVersion: '1',
        fileUrl: 'https://example.com/',
        fileSize: -1,
        checksum: 'x',
      });
      await bench.receive(Buffer.from(text));
      const [said] = bench.said;
      assert.equal(said?.message.correlationId, CORRELATION);
      assert.match(bench.words()[0] ?? '', /^failed: \/payload\/file_size must be >= 1$/);
      await bench.receive(Buffer.from(text));
      assert.equal(bench.words().length, 1);
    });
  });

  it('ignores what is not for it: its own words, rubbish, another controller', async () => {
    const bench = await AgentBench.start();
    const ids = { storeId: STORE_ID, controllerId: CONTROLLER_ID, version: '1.0.0', timestamp: 0 };
    const own = { ...ids, correlationId: null, deploymentId: DEPLOYMENT, errors: [] };
    for (const type of ['update_firmware_completed', 'update_firmware_failed'] as const) {
      await bench.receive(Buffer.from(format({ ...own, type })));
    }
    for (const text of [
      '',
      '{',
      'null',
      '[]',
      '{"event_type":"update_firmware"}',
      '{"event_type":"x","payload":1}',
    ]) {
      await bench.receive(Buffer.from(text));
    }
    const foreign = format({ ...own, controllerId: STORE_ID, type: 'cancel_update_firmware' });
    await bench.receive(Buffer.from(foreign));
    assert.deepEqual(bench.words(), []);
    assert.equal(bench.disk.records.size, 0);
  });

  it('takes a command whose time is far ahead: its own clock may not be set yet', async () => {
    const bench = await AgentBench.start();
    bench.clock.shift(-50 * 365 * 24 * 3600 * 1000);
    await bench.update();
    assert.equal(bench.folder.fetches.length, 1);
  });

  describe('by version', () => {
    it('completes at once what is installed already', async () => {
      const bench = await AgentBench.start({ installedVersion: '1.0.1' });
      await bench.update();
      assert.deepEqual(bench.words(), ['ack', 'completed']);
      assert.equal(bench.folder.fetches.length, 0);
    });

    it('takes a lower one where that is allowed, and any where none is known', async () => {
      const lower = await AgentBench.start({ installedVersion: '2.0.0', settings: { downgrade: true } });
      await lower.update();
      assert.deepEqual(lower.words(), ['ack']);
      const unknown = await AgentBench.start();
      await unknown.update(DEPLOYMENT, { firmwareVersion: 'nightly' });
      assert.deepEqual(unknown.words(), ['ack']);
    });

    it('knows what it has installed, over a restart too', async () => {
      const bench = await installing();
      await answer(bench, 'installed');
      const later = await bench.restart();
      await later.update(deployment(2), { firmwareVersion: '1.0.1' });
      await later.update(deployment(3), { firmwareVersion: '1.0.0' });
      assert.deepEqual(later.words().slice(-3), [
        'ack',
        'completed',
        'failed: firmware_version is 1.0.0: lower than 1.0.1, which is installed',
      ]);
    });

    it('believes what it is told', async () => {
      const bench = await AgentBench.start();
      await bench.agent.installed('3.0.0');
      await bench.update();
      assert.match(bench.words()[0] ?? '', /lower than 3\.0\.0/);
    });
  });

  describe('downloading', () => {
    it('tries again with growing pauses, and goes back to short ones when bytes come', async () => {
      const bench = await AgentBench.start();
      await bench.update();
      for (const ms of [1_000, 2_000, 4_000]) {
        await bench.fetched(lost);
        assert.equal(bench.folder.fetches.length, 0);
        await bench.pass(ms * 0.79);
        assert.equal(bench.folder.fetches.length, 0, `before ${ms}`);
        await bench.pass(ms * 0.42);
        assert.equal(bench.folder.fetches.length, 1, `after ${ms}`);
      }
      await bench.fetched({ ...lost, progressed: true });
      await bench.pass(10_000);
      await bench.fetched(lost);
      await bench.pass(1_200);
      assert.equal(bench.folder.fetches.length, 1);
      assert.equal(bench.reasons[0], 'connection lost');
    });

    it('waits as long as the server asks', async () => {
      const bench = await AgentBench.start();
      await bench.update();
      await bench.fetched({ ...lost, retryAfterMs: 60_000 });
      await bench.pass(59_000);
      assert.equal(bench.folder.fetches.length, 0);
      await bench.pass(1_000);
      assert.equal(bench.folder.fetches.length, 1);
    });

    it('gives up where a file is not found again and again', async () => {
      const bench = await AgentBench.start();
      await bench.update();
      for (let tries = 0; tries < 5; tries += 1) {
        await bench.fetched({ ...lost, reason: 'the server answers 404', tries: 5 });
        await bench.pass(60_000);
      }
      assert.deepEqual(bench.words(), ['ack', 'failed: the server answers 404']);
    });

    it('ends at its deadline, with the last reason, and stops', async () => {
      const bench = await AgentBench.start({ settings: { downloadMs: 60_000 } });
      await bench.update();
      await bench.fetched(lost);
      await bench.pass(2_000);
      const signal = bench.folder.fetches[0]?.signal;
      await bench.pass(57_000);
      assert.equal(signal?.aborted, false);
      await bench.pass(1_000);
      assert.equal(signal?.aborted, true);
      assert.deepEqual(bench.words(), ['ack', 'failed: the file was not there in time']);
      assert.deepEqual(bench.folder.removed, [DEPLOYMENT]);
      const other = await AgentBench.start({ settings: { downloadMs: 60_000 } });
      await other.update();
      await other.fetched({ ...lost, retryAfterMs: 10 ** 9 });
      await other.pass(60_000);
      assert.deepEqual(other.words(), ['ack', 'failed: the file was not there in time: connection lost']);
    });

    it('that no try would help fails at once', async () => {
      const bench = await AgentBench.start();
      await bench.update();
      await bench.fetched({ outcome: 'refused', errors: ['the server answers 403'] });
      assert.deepEqual(bench.words(), ['ack', 'failed: the server answers 403']);
      assert.equal(bench.clock.timers, 0);
    });

    it('fails where a check fails, and hands nothing on', async () => {
      const bench = await AgentBench.start();
      await bench.update();
      await bench.fetched(wrong(false));
      assert.deepEqual(bench.words(), ['ack', 'failed: MD5 differs']);
      assert.deepEqual(bench.installs, []);
    });

    it('begins anew, once, where a file of several pieces is wrong', async () => {
      const bench = await AgentBench.start();
      await bench.update();
      await bench.fetched(wrong(true));
      assert.equal(bench.folder.fetches.length, 1);
      const later = await bench.restart();
      await later.fetched(wrong(true));
      assert.deepEqual(later.words().at(-1), 'failed: MD5 differs');
    });

    it('goes on after a restart, until the same deadline', async () => {
      const bench = await AgentBench.start({ settings: { downloadMs: 60_000 } });
      await bench.update();
      await bench.pass(30_000);
      const later = await bench.restart({ settings: { downloadMs: 60_000 } });
      assert.deepEqual(later.folder.swept, [DEPLOYMENT]);
      assert.equal(later.folder.fetches[0]?.file.fileSize, 779);
      await later.pass(30_000);
      assert.match(later.words().at(-1) ?? '', /not there in time/);
    });
  });

  describe('told to cancel', () => {
    it('stops the download, removes the file and acknowledges', async () => {
      const bench = await AgentBench.start();
      await bench.update();
      const signal = bench.folder.fetches[0]?.signal;
      await bench.cancel(DEPLOYMENT, OTHER);
      assert.equal(signal?.aborted, true);
      assert.deepEqual(bench.folder.removed, [DEPLOYMENT]);
      assert.deepEqual(
        bench.said.slice(1).map(({ topic, message }) => [topic, message.type, message.correlationId]),
        [[AGENT_TOPICS.ack, 'cancel_update_firmware_ack', OTHER]],
      );
      assert.equal(bench.clock.timers, 0);
    });

    it('before the command has come never begins it', async () => {
      const bench = await AgentBench.start();
      await bench.cancel();
      await bench.update();
      assert.deepEqual(bench.words(), ['cancel ack', 'cancel ack']);
      assert.equal(bench.folder.fetches.length, 0);
    });

    it('while it is installed asks the flow, once, and says nothing yet', async () => {
      const bench = await installing();
      await bench.cancel(DEPLOYMENT, OTHER);
      await bench.cancel(DEPLOYMENT, OTHER);
      assert.equal(bench.cancelsAsked.length, 1);
      assert.deepEqual(bench.words(), []);
    });

    it('while it is installed acknowledges where the flow did cancel', async () => {
      const bench = await installing();
      await bench.cancel(DEPLOYMENT, OTHER);
      await answer(bench, 'cancelled');
      assert.equal(bench.said[0]?.message.correlationId, OTHER);
      assert.deepEqual(bench.words(), ['cancel ack']);
    });

    it('while it is installed reports the end where the flow went on', async () => {
      const bench = await installing();
      await bench.cancel(DEPLOYMENT, OTHER);
      await answer(bench, 'installed');
      assert.equal(bench.said[0]?.message.correlationId, CORRELATION);
      assert.deepEqual(bench.words(), ['completed']);
      const failing = await installing();
      await failing.cancel();
      await answer(failing, ['broken']);
      assert.deepEqual(failing.words(), ['failed: broken']);
    });

    it('after the end repeats it', async () => {
      const bench = await installing();
      await answer(bench, 'installed');
      await bench.cancel();
      assert.deepEqual(bench.words(), ['completed', 'completed']);
    });

    it('by nobody but the flow is a failure', async () => {
      const bench = await installing();
      await answer(bench, 'cancelled');
      assert.match(bench.words()[0] ?? '', /^failed: .*nobody had asked/);
    });

    it('and restarted asks the flow again', async () => {
      const bench = await installing();
      await bench.cancel();
      const later = await bench.restart();
      assert.equal(later.cancelsAsked.length, 1);
      assert.deepEqual(later.installs, []);
      assert.deepEqual(later.states, ['cancelling again']);
    });
  });

  describe('told the same again', () => {
    it('acknowledges again, with the new correlation, and starts nothing', async () => {
      const bench = await AgentBench.start();
      await bench.update();
      await bench.update(DEPLOYMENT, {}, OTHER);
      assert.equal(bench.said[1]?.message.correlationId, OTHER);
      assert.equal(bench.folder.fetches.length, 1);
      await bench.fetched(ready);
      await bench.update();
      assert.deepEqual(bench.words(), ['ack', 'ack', 'ack']);
      assert.equal(bench.installs.length, 1);
    });

    it('after the end repeats acknowledgement and end, over a restart too', async () => {
      const bench = await installing();
      await answer(bench, ['broken']);
      const later = await bench.restart();
      await later.update();
      assert.deepEqual(later.words(), ['ack', 'failed: broken']);
      assert.deepEqual(later.folder.fetches, []);
    });

    it('by the flow changes nothing: the first answer counts', async () => {
      const bench = await installing();
      await answer(bench, 'installed');
      await answer(bench, ['broken']);
      assert.deepEqual(bench.words(), ['completed']);
      await assert.rejects(bench.agent.answer(deployment(9), { result: 'installed' }), { code: 'not_found' });
    });
  });

  describe('whose installation a restart has cut off', () => {
    it('hands nothing on again, and waits', async () => {
      const bench = await installing();
      const later = await bench.restart();
      assert.deepEqual(later.installs, []);
      assert.deepEqual(later.folder.fetches, []);
      assert.deepEqual(later.states, ['installing again']);
      await answer(later, 'installed');
      assert.deepEqual(later.words(), ['completed']);
    });

    it('goes by the version that runs', async () => {
      const done = await (await installing()).restart();
      await done.agent.installed('1.0.1');
      await done.settle();
      assert.deepEqual(done.words(), ['completed']);
      const not = await (await installing()).restart();
      await not.agent.installed('1.0.0');
      await not.settle();
      assert.deepEqual(not.words(), [
        'failed: the installation was cut off by a restart, and 1.0.0 runs, not 1.0.1',
      ]);
    });

    it('is completed by a setting that names the new version; an older one says nothing', async () => {
      const done = await (await installing()).restart({ installedVersion: '1.0.1' });
      assert.deepEqual(done.words(), ['completed']);
      const waiting = await (await installing()).restart({ installedVersion: '1.0.0' });
      assert.deepEqual(waiting.words(), []);
    });

    it('does not take the version for an answer while the installation runs', async () => {
      const bench = await installing();
      await bench.agent.installed('1.0.0');
      await bench.settle();
      assert.deepEqual(bench.words(), []);
    });

    it('fails where no answer comes in time', async () => {
      const bench = await installing();
      await bench.pass(AGENT.installMs / 2);
      const later = await bench.restart();
      await later.pass(AGENT.installMs / 2);
      assert.deepEqual(later.words(), ['failed: the installation gave no answer in time']);
    });
  });

  describe('without a connection', () => {
    it('goes on, and says everything, in order, once it is back', async () => {
      const bench = await AgentBench.start();
      bench.connected = false;
      await bench.update();
      await bench.fetched(ready);
      await answer(bench, 'installed');
      assert.deepEqual(bench.words(), []);
      for (const send of bench.unsent) send();
      assert.deepEqual(bench.words(), ['ack', 'completed']);
    });

    it('keeps what was not acknowledged over a restart', async () => {
      const bench = await AgentBench.start();
      bench.connected = false;
      await bench.update();
      const later = await bench.restart();
      assert.deepEqual(later.words(), ['ack']);
      const last = await later.restart();
      assert.deepEqual(last.words(), []);
    });

    it('tries again what a link refuses', async () => {
      const bench = await AgentBench.start();
      bench.refusing = true;
      await bench.update();
      bench.refusing = false;
      await bench.pass(2_000);
      assert.deepEqual(bench.words(), ['ack']);
    });
  });

  it('writes before it acts: where nothing can be stored nothing happens', async () => {
    const bench = await AgentBench.start();
    bench.disk.held = true;
    const handled = bench.agent.handle({
      payload: updateMessage(),
    });
    await bench.settle();
    assert.deepEqual([bench.words(), bench.folder.fetches.length], [[], 0]);
    bench.disk.waiting[0]?.reject(new Error('disk full'));
    await assert.rejects(handled, /disk full/);
    bench.disk.held = false;
    await bench.update();
    assert.deepEqual(bench.words(), ['ack']);
  });

  it('forgets the oldest ends, never one that is still to be told', async () => {
    const bench = await AgentBench.start({ settings: { remembered: 3 } });
    for (let number = 0; number < 6; number += 1) {
      await bench.cancel(deployment(number));
      await bench.pass(1);
    }
    assert.deepEqual(
      [...bench.disk.records.keys()],
      [3, 4, 5].map((number) => deployment(number)),
    );
    bench.connected = false;
    for (let number = 6; number < 12; number += 1) await bench.cancel(deployment(number));
    for (let number = 6; number < 12; number += 1) assert.ok(bench.disk.records.has(deployment(number)));
  });
});
