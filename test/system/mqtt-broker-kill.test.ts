import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RawClient, until } from '../support/mqtt.js';

interface Report {
  port?: number;
  heard?: string;
  published?: string;
}

describe('embedded broker: killed and started again', () => {
  let folder: string;
  let child: ChildProcess;
  let port: number;
  let reports: Report[];

  const start = async () => {
    reports = [];
    child = fork(join(__dirname, '../support/broker-process.js'), [`sqlite:${join(folder, 'test.db')}`]);
    child.on('message', (report: Report) => reports.push(report));
    await until(() => reports.some((report) => report.port !== undefined), 'the broker listens');
    port = reports.find((report) => report.port !== undefined)?.port ?? 0;
  };
  const kill = async () => {
    child.kill('SIGKILL');
    await once(child, 'exit');
  };
  const publish = async (topic: string, payload: string) => {
    child.send({ topic, payload });
    await until(() => reports.some(({ published }) => published === payload), `${payload} is published`);
  };

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fieldloom-mqtt-'));
    await start();
  });

  afterEach(async () => {
    await kill();
    await rm(folder, { recursive: true, force: true });
  });

  it('keeps retained messages, subscriptions and queued commands of which it has said that it has them', async () => {
    const machine = await RawClient.login(port, 'machine', { clean: false });
    machine.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'm/1/command', qos: 2 }] });
    await machine.next('suback');
    machine.publish('m/1/status', 'online', { qos: 1, messageId: 2, retain: true });
    await machine.next('puback');
    await machine.cut();
    await publish('m/1/command', 'open');
    await publish('m/1/command', 'close');
    await kill();
    await start();
    const again = await RawClient.login(port, 'machine', { clean: false });
    const commands = [await again.next('publish'), await again.next('publish')];
    assert.deepEqual(
      commands.map(({ payload }) => payload.toString()),
      ['open', 'close'],
    );
    for (const { messageId } of commands) again.send({ cmd: 'pubrec', messageId });
    for (const { messageId } of commands) assert.equal((await again.next('pubrel')).messageId, messageId);
    await kill();
    await again.closed;
    await start();
    // The client has both: only the handshakes go on.
    const third = await RawClient.login(port, 'machine', { clean: false });
    for (let count = 0; count < 2; count += 1) {
      const { messageId } = await third.next('pubrel');
      third.send({ cmd: 'pubcomp', messageId });
    }
    await third.nothingBut();
    const service = await RawClient.login(port, 'service');
    await service.subscribe('m/+/status');
    assert.equal((await service.next('publish')).payload.toString(), 'online');
    await third.cut();
    await service.cut();
  });

  it('keeps a client id bound to its login', async () => {
    const machine = await RawClient.login(port, 'machine', { clean: false, clientId: 'mine' });
    await kill();
    await machine.closed;
    await start();
    const thief = await RawClient.to(port);
    assert.equal(
      ((await thief.connect('other', { clientId: 'mine' })) as { returnCode: number }).returnCode,
      2,
    );
  });

  it('answers a QoS 2 message that it has answered before, without handling it again', async () => {
    const machine = await RawClient.login(port, 'machine', { clean: false });
    machine.publish('m/1/telemetry', '1', { qos: 2, messageId: 7 });
    await machine.next('pubrec');
    assert.equal(reports.filter(({ heard }) => heard === '1').length, 1);
    await kill();
    await machine.closed;
    await start();
    const again = await RawClient.login(port, 'machine', { clean: false });
    again.publish('m/1/telemetry', '1', { qos: 2, messageId: 7, dup: true });
    await again.next('pubrec');
    again.publish('m/1/telemetry', '2', { qos: 1, messageId: 8 });
    await again.next('puback');
    await until(() => reports.some(({ heard }) => heard === '2'), 'the next one is heard');
    assert.deepEqual(
      reports.flatMap(({ heard = [] }) => heard),
      ['2'],
    );
    await again.cut();
  });
});
