import { randomUUID } from 'node:crypto';
import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt';
import { sampleRoast } from '../../bin/simulated-roasts.js';
import { formatProfile } from '../../lib/roast/profile-codec.js';
import { eventually, Gateway } from './gateway.js';

export type Login = IClientOptions & { username: string };

/** Values of path parameters, by their names in schemas/openapi.yaml and schemas/asyncapi.yaml. */
export type Values = Record<string, string>;

/** Everything of one company, as a gateway knows it. */
export interface Tenant {
  name: string;
  token: string;
  /** Names what there is: `rollout`, `deployment`, `execution` and `alert` too. */
  values: Values;
  /** Of its machine, its controller and its device. */
  logins: { machine: Login; controller: Login; device: Login };
}

const stateOf = (store_id: string, controller_id: string) => {
  const at = new Date().toISOString();
  const machines = [{ machine_type: 'washer', relay_id: 1, status: 'busy', last_updated: at }];
  return {
    ...{ version: '1.0.0', event_type: 'machine_state', timestamp: at, correlation_id: randomUUID() },
    ...{ controller_id, store_id, payload: { machines } },
  };
};

/** A gateway that wants a token for everything, with an administrator and two companies that have all there is. */
export class TwoTenants {
  private constructor(
    readonly gateway: Gateway,
    readonly root: string,
    /** Whose things the other is after. */
    readonly owner: Tenant,
    readonly other: Tenant,
  ) {}

  static async start(): Promise<TwoTenants> {
    const gateway = await Gateway.create({ ACCESS: 'token' });
    try {
      await gateway.start();
      const root = await tokenOf(gateway, 'root', '--admin');
      const image = await fetch(`${gateway.url}/firmware/images?version=1.0.1`, {
        method: 'POST',
        headers: { authorization: `Bearer ${root}` },
        body: 'an image',
      });
      const { id: image_id } = (await image.json()) as { id: string };
      const owner = await makeTenant(gateway, root, { name: 'bob', pond_id: '1', image_id });
      const other = await makeTenant(gateway, root, { name: 'eve', pond_id: '2', image_id });
      return new TwoTenants(gateway, root, owner, other);
    } catch (error) {
      await gateway.remove();
      throw error;
    }
  }

  remove(): Promise<void> {
    return this.gateway.remove();
  }
}

async function tokenOf(gateway: Gateway, name: string, ...rights: string[]): Promise<string> {
  await gateway.command('user', 'add', name, '--password-stdin', ...rights, { input: 'a long password' });
  return ((await gateway.command('user', 'token', name)) as { token: string }).token;
}

async function makeTenant(
  gateway: Gateway,
  root: string,
  { name, ...given }: { name: string; pond_id: string; image_id: string },
): Promise<Tenant> {
  const [store_id, controller_id] = [randomUUID(), randomUUID()];
  const company_id = `${name}s-company`;
  const machine_id = `${name}s-machine`;
  const device_id = `${name}s-device`;
  const token = await tokenOf(gateway, name, '--store', store_id, '--company', company_id);
  const login = (...words: string[]) =>
    gateway.command('access', 'add', '--role', ...words) as Promise<Login>;
  const pond = ['--owner', name, '--device', device_id, '--position', '1', '--name', `Pond of ${name}`];
  await gateway.command('pond', 'add', ...pond);
  const logins = {
    machine: await login('machine', '--company', company_id, '--machine', machine_id),
    controller: await login('controller', '--store', store_id, '--controller', controller_id),
    device: await login('device', '--device', device_id),
  };
  const ask = async (method: string, path: string, body?: unknown, as = token) => {
    const answer = await fetch(gateway.url + path, {
      method,
      headers: { authorization: `Bearer ${as}`, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
    return (await answer.json()) as never;
  };

  const open: MqttClient[] = [];
  const publish = async (who: keyof typeof logins, topic: string, payload: unknown) => {
    const client = await connectAsync(gateway.mqttUrl, logins[who]);
    open.push(client);
    await client.publishAsync(topic, JSON.stringify(payload), { qos: 1 });
  };
  const solar = `company/${company_id}/machine/${machine_id}`;
  await publish('machine', `${solar}/telemetry`, { battery: 12.5 });
  await publish('machine', `${solar}/telemetry`, { battery: 'broken' });
  await publish('machine', `${solar}/status`, { status: 'Running' });
  const metrics = `/stores/${store_id}/controllers/${controller_id}/metrics`;
  await publish('controller', metrics, stateOf(store_id, controller_id));
  await publish('device', `devices/${device_id}/data/sensors`, { pond_position: 1, temperature: 31 });
  await publish('device', `devices/${device_id}/threshold`, {
    ...{ pond_position: 1, parameter: 'temperature', value: 31, threshold: 30, severity: 'warning' },
    message: 'too warm',
  });
  for (const client of open) await client.endAsync();

  const fed: { data: { execution_id: number } } = await ask(
    'POST',
    `/automation/ponds/${given.pond_id}/control/feed/`,
    { amount: 5 },
  );
  const rollout: { id: string } = await ask(
    'POST',
    '/firmware/rollouts',
    rolloutOf(given.image_id, store_id, controller_id),
  );
  const command: { command_id: string } = await ask(
    'POST',
    `/companies/${company_id}/machines/${machine_id}/command`,
    { command: 'stop' },
  );
  const roaster = { id: machine_id, name: `Drum of ${name}`, driver: 'simulator', company_id };
  await ask('POST', '/api/machines', roaster, root);
  const profile: { id: string } = await ask('POST', '/api/profiles', await profileFile());
  const first = async (path: string, as = token) => {
    const { items } = await eventually(async () => {
      const page: { items: Record<string, string>[] } = await ask('GET', path, undefined, as);
      return page.items.length > 0 ? page : undefined;
    }, `something at ${path}`);
    return items[0] as Record<string, string>;
  };
  const deployment = await first(`/firmware/rollouts/${rollout.id}/deployments`);
  const alert = await first(`/automation/ponds/${given.pond_id}/alerts/`);
  const letter = await first('/dead-letters?protocol=solar', root);
  return {
    name,
    token,
    logins,
    values: {
      ...given,
      ...{ store_id, controller_id, company_id, machine_id, device_id, username: logins.machine.username },
      ...{
        rollout_id: rollout.id,
        command_id: command.command_id,
        profile_id: profile.id,
        deployment_id: deployment['id'] as string,
        letter_id: letter['id'] as string,
      },
      ...{ execution_id: String(fed.data.execution_id), alert_id: alert['alert_id'] as string },
    },
  };
}

const profileFile = async () => JSON.parse(formatProfile(await sampleRoast(), 'json').toString()) as unknown;

/** The body of a request for a rollout to one controller, which waits to be started. */
export const rolloutOf = (image_id: string, store_id: string, controller_id: string) => ({
  image_id,
  targets: [{ store_id, controller_id }],
  stages: [{ percent: 100, success_threshold: 1, error_threshold: 1 }],
});
