import assert from 'node:assert/strict';
import { join, resolve } from 'node:path';
import { readSettings } from '../../bin/settings.js';
import { FieldloomError } from '../../lib/core/errors.js';

// Any two files that exist stand for a certificate and its key.
const CERT = resolve('package.json');
const KEY = resolve('tsconfig.json');

const SEVERAL = {
  GATEWAY_ID: 'one',
  MQTT_URL: 'mqtt://broker',
  DATABASE_URL: 'postgres://database/fieldloom',
};

const BAD: [environment: Record<string, string>, line: RegExp][] = [
  [{ PORT: 'abc' }, /^PORT=abc: accepted is a port number from 1 to 65535$/],
  [{ PORT: '0' }, /^PORT=0: /],
  [{ PORT: '65536' }, /^PORT=65536: /],
  [{ PORT: '-1' }, /^PORT=-1: /],
  [{ PORT: '1e3' }, /^PORT=1e3: /],
  [{ MQTT_PORT: '18.5' }, /^MQTT_PORT=18\.5: /],
  [{ MQTT_WS_PORT: 'x' }, /^MQTT_WS_PORT=x: /],
  [{ MQTTS_PORT: '8883' }, /^MQTTS_PORT=8883: accepted is a port together with TLS_CERT and TLS_KEY$/],
  [
    { TLS_CERT: '/nowhere.pem', TLS_KEY: KEY },
    /^TLS_CERT=\/nowhere\.pem: accepted is a PEM file that exists$/,
  ],
  [{ TLS_CERT: CERT }, /^TLS_KEY=: accepted is a PEM file, since TLS_CERT is set$/],
  [{ TLS_KEY: KEY }, /^TLS_CERT=: accepted is a PEM file, since TLS_KEY is set$/],
  [{ MQTT_PORT: '1880' }, /^MQTT_PORT=1880: accepted is a port that PORT does not use already$/],
  [{ MQTT_URL: 'broker.example' }, /^MQTT_URL=broker\.example: accepted is a URL that begins with mqtt:\/\//],
  [{ MQTT_URL: 'http://broker' }, /^MQTT_URL=http:\/\/broker: /],
  [{ MQTT_USERNAME: 'a' }, /^MQTT_USERNAME=a: accepted is a user name together with MQTT_URL$/],
  [{ MQTT_PASSWORD: 'secret' }, /^MQTT_PASSWORD=…: accepted is a password together with MQTT_URL$/],
  [{ DATABASE_URL: 'oracle://x/y' }, /^DATABASE_URL=oracle:\/\/x\/y: accepted is sqlite:<file>, mysql:/],
  [{ DATABASE_URL: 'oracle://me:secret@x/y' }, /^DATABASE_URL=oracle:\/\/…@x\/y: /],
  [{ DATABASE_URL: 'fieldloom.db' }, /^DATABASE_URL=fieldloom\.db: /],
  [{ SIMULATE: 'yes' }, /^SIMULATE=yes: accepted is 0 or 1$/],
  [
    { PUBLIC_URL: 'gateway' },
    /^PUBLIC_URL=gateway: accepted is a URL that begins with http:\/\/, https:\/\/$/,
  ],
  [{ ACCESS: 'closed' }, /^ACCESS=closed: accepted is open or token$/],
  [
    { ACCESS: 'open', HOST: '0.0.0.0' },
    /^ACCESS=open: accepted is token, since HOST=0\.0\.0\.0 can be reached/,
  ],
  [{ ...SEVERAL, GATEWAY_ID: 'two words' }, /^GATEWAY_ID=two words: accepted is 1 to 64 letters/],
  [{ ...SEVERAL, MQTT_SHARE: 'a/b' }, /^MQTT_SHARE=a\/b: accepted is 1 to 64 characters without/],
  [{ ...SEVERAL, MQTT_URL: '' }, /^GATEWAY_ID=one: accepted is a name together with MQTT_URL$/],
  [{ ...SEVERAL, DATABASE_URL: '' }, /^GATEWAY_ID=one: accepted is a name together with a DATABASE_URL/],
  [{ MQTT_SHARE: 'group' }, /^MQTT_SHARE=group: accepted is a group together with GATEWAY_ID$/],
  [{ HOST: 'http://x' }, /^HOST=http:\/\/x: accepted is an IP address or host name/],
];

describe('settings of the start command', () => {
  for (const [environment, line] of BAD) {
    it(`refuses ${JSON.stringify(environment)}`, () => {
      assert.throws(
        () => readSettings(environment),
        (error) => {
          assert.ok(error instanceof FieldloomError);
          assert.equal(error.code, 'invalid_setting');
          assert.match(error.message, line);
          assert.ok(!error.message.includes('secret'), 'no password in the message');
          assert.ok(!error.message.includes('\n'), 'one line');
          return true;
        },
      );
    });
  }

  it('has the defaults of the contract', () => {
    const directory = resolve('.fieldloom');
    assert.deepEqual(readSettings({}), {
      host: '127.0.0.1',
      loopback: true,
      port: 1880,
      mqttPort: 1883,
      mqttPortFixed: false,
      mqttsPort: undefined,
      mqttWsPort: undefined,
      tls: undefined,
      external: undefined,
      databaseUrl: `sqlite:${join(directory, 'fieldloom.db')}`,
      gatewayId: undefined,
      share: undefined,
      directory,
      simulate: true,
      publicUrl: 'http://127.0.0.1:1880',
      access: 'open',
    });
  });

  it('takes an empty variable for one that is not set', () => {
    assert.deepEqual(readSettings({ HOST: '', PORT: ' ', ACCESS: '', MQTT_PASSWORD: '' }), readSettings({}));
  });

  it('wants tokens where other machines can reach it', () => {
    assert.equal(readSettings({ HOST: '0.0.0.0' }).access, 'token');
    assert.equal(readSettings({ HOST: '192.168.1.5' }).loopback, false);
    assert.equal(readSettings({ HOST: '127.0.0.5' }).access, 'open');
    assert.equal(readSettings({ HOST: 'localhost', ACCESS: 'token' }).access, 'token');
  });

  it('writes an IPv6 address into the public URL in brackets', () => {
    assert.equal(readSettings({ HOST: '::1', PORT: '8080' }).publicUrl, 'http://[::1]:8080');
    assert.equal(readSettings({ HOST: '[::1]' }).host, '::1');
  });

  it('lets an external broker take the place of the embedded one', () => {
    const settings = readSettings({
      MQTT_URL: 'mqtts://broker.example:8883',
      MQTT_USERNAME: 'u',
      MQTT_PASSWORD: ' p ',
    });
    assert.deepEqual(settings.external, {
      url: 'mqtts://broker.example:8883',
      username: 'u',
      password: ' p ',
    });
  });

  it('knows several gateways by their names, which simulate nothing unless they are told to', () => {
    const settings = readSettings(SEVERAL);
    assert.deepEqual([settings.gatewayId, settings.share, settings.simulate], ['one', 'fieldloom', false]);
    assert.equal(readSettings({ ...SEVERAL, MQTT_SHARE: 'other' }).share, 'other');
    assert.equal(readSettings({ ...SEVERAL, MQTT_SHARE: 'none' }).share, undefined);
    assert.equal(readSettings({ ...SEVERAL, SIMULATE: '1' }).simulate, true);
  });

  it('takes TLS with certificate and key', () => {
    const settings = readSettings({ MQTTS_PORT: '8883', TLS_CERT: CERT, TLS_KEY: KEY });
    assert.deepEqual(settings.tls, { certFile: CERT, keyFile: KEY });
    assert.equal(settings.mqttsPort, 8883);
  });
});
