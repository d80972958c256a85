import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parse } from 'yaml';
import { readSettings } from '../../bin/settings.js';

const ROOT = join(__dirname, '../../..');
const DEPLOY = join(ROOT, 'deploy');

interface Service {
  image?: string;
  build?: { context: string; dockerfile: string };
  environment?: Record<string, string>;
  secrets?: (string | { source: string; target: string })[];
  volumes?: string[];
  ports?: string[];
  depends_on?: Record<string, unknown>;
}
interface Compose {
  services: Record<string, Service>;
  secrets: Record<string, { file: string }>;
  volumes: Record<string, unknown>;
}

const text = (name: string) => readFileSync(join(DEPLOY, name), 'utf8');
const compose = parse(text('compose.yaml'), { merge: true }) as Compose;
const services = Object.entries(compose.services);
const gateways = services.filter(([name]) => name.startsWith('gateway-'));
const nameOf = (secret: string | { source: string }) => (typeof secret === 'string' ? secret : secret.source);

describe('the example of several gateways in containers', () => {
  it('names services, secrets, volumes and files that are there, and uses them all', () => {
    const usedSecrets = new Set<string>();
    const usedVolumes = new Set<string>();
    for (const [name, service] of services) {
      for (const needed of Object.keys(service.depends_on ?? {})) assert.ok(compose.services[needed], needed);
      for (const secret of service.secrets ?? []) {
        assert.ok(compose.secrets[nameOf(secret)], `${name}: ${nameOf(secret)}`);
        usedSecrets.add(nameOf(secret));
      }
      for (const volume of service.volumes ?? []) {
        const [from = ''] = volume.split(':');
        if (from.startsWith('.')) assert.ok(existsSync(join(DEPLOY, from)), from);
        else assert.ok(from in compose.volumes, from);
        usedVolumes.add(from);
      }
      if (service.build) {
        const { context, dockerfile } = service.build;
        assert.ok(existsSync(resolve(DEPLOY, context, dockerfile)), dockerfile);
      }
    }
    assert.deepEqual([...usedSecrets].sort(), Object.keys(compose.secrets).sort());
    assert.ok(Object.keys(compose.volumes).every((volume) => usedVolumes.has(volume)));
  });

  it('starts gateways with names of their own and settings that the start command takes', () => {
    assert.equal(gateways.length, 3);
    const names = gateways.map(([name, { environment = {}, secrets = [] }]) => {
      const given = { ...environment, HOST: '0.0.0.0', FIELDLOOM_DIR: '/data' };
      for (const [variable, value] of Object.entries(environment)) {
        if (!variable.endsWith('_FILE')) continue;
        const secret = value.replace('/run/secrets/', '');
        assert.ok(secrets.map(nameOf).includes(secret), `${name}: ${variable}`);
        Object.assign(given, { [variable.replace(/_FILE$/, '')]: secret });
      }
      const settings = readSettings({
        ...given,
        DATABASE_URL: 'mysql://fieldloom:x@database:3306/fieldloom',
        PUBLIC_URL: /\$\{PUBLIC_URL:-(.+)\}/.exec(environment['PUBLIC_URL'] ?? '')?.[1] ?? '',
      });
      assert.equal(settings.access, 'token');
      assert.equal(settings.gatewayId, name);
      return settings.gatewayId;
    });
    assert.equal(new Set(names).size, names.length);
    // What the entry point takes from files.
    const taken = /for name in (.+); do/.exec(text('entrypoint.sh'))?.[1]?.split(' ') ?? [];
    const wanted = Object.keys(gateways[0]?.[1].environment ?? {}).filter((name) => name.endsWith('_FILE'));
    assert.deepEqual(wanted.map((name) => name.replace(/_FILE$/, '')).sort(), [...taken].sort());
  });

  it('has a balancer and a broker that speak to services and ports of it', () => {
    const servers = [...text('haproxy.cfg').matchAll(/^ +server \S+ ([\w-]+):1880 check/gm)].map(
      ([, name]) => name,
    );
    assert.deepEqual(
      servers,
      [...gateways, ...gateways].map(([name]) => name),
    );
    const binds = [...text('haproxy.cfg').matchAll(/^ +bind :(\d+)/gm)].map(([, port]) => port);
    assert.ok(binds.includes(compose.services['balancer']?.ports?.[0]?.split(':').at(-1)));
    for (const [, host, port, path] of text('emqx.conf.template').matchAll(
      /url = "http:\/\/(\w+):(\d+)(\S+)"/g,
    )) {
      assert.ok(compose.services[host as string], host);
      assert.ok(binds.includes(port), port);
      assert.match(path as string, /^\/mqtt\/(auth|acl)$/);
    }
  });

  it('makes its secrets once, for their owner alone, and has none in the tree', () => {
    const tracked = execFileSync('git', ['ls-files', 'deploy'], { cwd: ROOT, encoding: 'utf8' });
    assert.ok(!tracked.includes('secrets/'));
    const folder = mkdtempSync(join(tmpdir(), 'fieldloom-deploy-'));
    try {
      cpSync(DEPLOY, folder, { recursive: true, filter: (from) => !from.endsWith('/secrets') });
      const make = () => execFileSync('sh', [join(folder, 'make-secrets.sh')]);
      make();
      const read = (name: string) => readFileSync(join(folder, name), 'utf8');
      for (const { file } of Object.values(compose.secrets)) assert.ok(existsSync(join(folder, file)), file);
      assert.equal(statSync(join(folder, 'secrets')).mode & 0o777, 0o700);
      const secret = read('secrets/broker-secret');
      assert.match(secret, /^[\w-]{40,}$/);
      assert.ok(read('secrets/emqx.conf').includes(`Bearer ${secret}`));
      assert.ok(!read('secrets/emqx.conf').includes('@BROKER_SECRET@'));
      const { password } = new URL(read('secrets/database-url'));
      assert.equal(password, read('secrets/database-password'));
      const before = read('secrets/jwt-secret');
      make();
      assert.equal(read('secrets/jwt-secret'), before);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
