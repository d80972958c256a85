import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { parse } from 'yaml';

export type Method = 'get' | 'post' | 'put' | 'delete';

interface Response {
  $ref?: string;
  content?: Record<string, { schema: object }>;
}
type Path = Partial<Record<Method, { responses: Record<string, Response> }>>;
interface OpenApi {
  paths: Record<string, Path>;
  components: { responses: Record<string, Response> };
}

const description = parse(readFileSync(join(__dirname, '../../../schemas/openapi.yaml'), 'utf8')) as OpenApi;

const ajv = new Ajv2020({ strict: false });
(addFormats as unknown as (instance: object) => void)(ajv);
ajv.addSchema({ $id: 'openapi', ...description });

/** Paths and methods that are described below a root such as `/automation/`. */
export function describedBelow(root: string): [path: string, method: Method][] {
  return Object.entries(description.paths)
    .filter(([path]) => path.startsWith(root))
    .flatMap(([path, methods]) =>
      (['get', 'post', 'put', 'delete'] as const)
        .filter((method) => methods[method] !== undefined)
        .map((method): [string, Method] => [path, method]),
    );
}

/** Holds an answer against schemas/openapi.yaml. */
export function checkDescribed(path: string, method: Method, status: number, body: unknown): void {
  const responses = description.paths[path]?.[method]?.responses ?? {};
  const response = responses[String(status)];
  assert.ok(response, `${method} ${path} answered ${status}, which is not described`);
  const named = response.$ref?.replace('#/components/responses/', '');
  const actual = named === undefined ? response : description.components.responses[named];
  if (!actual?.content?.['application/json']) return;
  const escaped = path.replaceAll('~', '~0').replaceAll('/', '~1');
  const place =
    named === undefined
      ? `/paths/${escaped}/${method}/responses/${status}`
      : `/components/responses/${named}`;
  const encoded = `${place}/content/application~1json/schema`.split('/').map(encodeURIComponent).join('/');
  const validate = ajv.compile({ $ref: `openapi#${encoded}` });
  assert.ok(
    validate(body),
    `${method} ${path} ${status}: ${ajv.errorsText(validate.errors)}\n${JSON.stringify(body)}`,
  );
}

/** Addresses of schemas/asyncapi.yaml: MQTT topics, and paths of WebSockets. */
export function describedAddresses(server: 'mqtt' | 'live'): string[] {
  const { channels } = parse(readFileSync(join(__dirname, '../../../schemas/asyncapi.yaml'), 'utf8')) as {
    channels: Record<string, { address: string; servers: { $ref: string }[] }>;
  };
  return Object.values(channels)
    .filter(({ servers }) => servers.some(({ $ref }) => $ref === `#/servers/${server}`))
    .map(({ address }) => address);
}
