import cancelSchema from '../../schemas/firmware/cancel-update-firmware.schema.json';
import cancelAckSchema from '../../schemas/firmware/cancel-update-firmware-ack.schema.json';
import deploymentIdSchema from '../../schemas/firmware/deployment-id.schema.json';
import updateSchema from '../../schemas/firmware/update-firmware.schema.json';
import ackSchema from '../../schemas/firmware/update-firmware-ack.schema.json';
import completedSchema from '../../schemas/firmware/update-firmware-completed.schema.json';
import failedSchema from '../../schemas/firmware/update-firmware-failed.schema.json';
import {
  type ControllerIds,
  checkKind,
  controllerTopic,
  type Envelope,
  formatEnvelope,
  idsOfTopic,
  readEnvelope,
} from '../core/envelope.js';
import { FieldloomError } from '../core/errors.js';
import { MESSAGE_LIMITS, parseJson } from '../core/json.js';
import { compileSchema, registerSchema, type Validator } from '../core/schema.js';
import type { TopicParameters, TopicTemplate } from '../core/topic.js';
import type * as wire from './wire.js';

registerSchema(deploymentIdSchema);

/** The two topics of a controller: requests and their ends, and acknowledgements (seed: firmware-update). */
export type FirmwareChannel = 'action' | 'ack';

/** What the backend tells a controller of the image. */
export interface FirmwareFile {
  firmwareVersion: string;
  fileUrl: string;
  /** Bytes. */
  fileSize: number;
  /** MD5 in hex. */
  checksum: string;
  /** SHA-256 in hex. */
  sha256?: string;
  /** Ed25519 signature of the 32 bytes of the file's SHA-256 digest, in base64. */
  signature?: string;
}

interface Deployment {
  /** Lower case. */
  deploymentId: string;
}

/** The content of each message by its event type. */
export interface FirmwareBodies {
  update_firmware: Deployment & FirmwareFile;
  update_firmware_ack: Deployment;
  update_firmware_completed: Deployment;
  update_firmware_failed: Deployment & { errors: string[] };
  cancel_update_firmware: Deployment;
  cancel_update_firmware_ack: Deployment;
}

export type FirmwareEventType = keyof FirmwareBodies;

/** What `format` writes. */
export type OutgoingFirmwareMessage = {
  [T in FirmwareEventType]: Envelope & { type: T } & FirmwareBodies[T];
}[FirmwareEventType];

export type FirmwareMessage = OutgoingFirmwareMessage & {
  /** The message as it came, fields that we do not know included. */
  original: Record<string, unknown>;
};

interface Kind<T extends FirmwareEventType, Payload> {
  channel: FirmwareChannel;
  validate: Validator<{ payload: Payload }>;
  read(payload: Payload): FirmwareBodies[T];
  write(body: FirmwareBodies[T]): Payload;
}

const readDeployment = (payload: { deployment_id: string }): Deployment => ({
  deploymentId: payload.deployment_id.toLowerCase(),
});
const writeDeployment = ({ deploymentId }: Deployment) => ({ deployment_id: deploymentId });

/** A message whose payload is the deployment's id alone. */
const aboutDeployment = <T extends FirmwareEventType>(channel: FirmwareChannel, schema: object) =>
  ({
    channel,
    validate: compileSchema<{ payload: { deployment_id: string } }>(schema),
    read: readDeployment,
    write: writeDeployment,
  }) as unknown as Kind<T, never>;

const update: Kind<'update_firmware', wire.UpdateFirmware['payload']> = {
  channel: 'action',
  validate: compileSchema(updateSchema),
  read: (payload) => ({
    ...readDeployment(payload),
    firmwareVersion: payload.firmware_version,
    fileUrl: payload.file_url,
    fileSize: payload.file_size,
    checksum: payload.checksum.toLowerCase(),
    ...(payload.sha256 !== undefined && { sha256: payload.sha256.toLowerCase() }),
    ...(payload.signature !== undefined && { signature: payload.signature }),
  }),
  write: (body) => ({
    ...writeDeployment(body),
    firmware_version: body.firmwareVersion,
    file_url: body.fileUrl,
    file_size: body.fileSize,
    checksum: body.checksum,
    ...(body.sha256 !== undefined && { sha256: body.sha256 }),
    ...(body.signature !== undefined && { signature: body.signature }),
  }),
};

const failed: Kind<'update_firmware_failed', wire.UpdateFirmwareFailed['payload']> = {
  channel: 'action',
  validate: compileSchema(failedSchema),
  read: (payload) => ({ ...readDeployment(payload), errors: payload.errors }),
  write: (body) => ({ ...writeDeployment(body), errors: body.errors }),
};

/** The six messages of the seed. Both sides publish on `action`; the event type tells whose message it is. */
const KINDS: { readonly [T in FirmwareEventType]: Kind<T, never> } = {
  update_firmware: update as Kind<'update_firmware', never>,
  update_firmware_ack: aboutDeployment('ack', ackSchema),
  update_firmware_completed: aboutDeployment('action', completedSchema),
  update_firmware_failed: failed as Kind<'update_firmware_failed', never>,
  cancel_update_firmware: aboutDeployment('action', cancelSchema),
  cancel_update_firmware_ack: aboutDeployment('ack', cancelAckSchema),
};

const typesOn = (channel: FirmwareChannel) =>
  (Object.keys(KINDS) as FirmwareEventType[]).filter((type) => KINDS[type].channel === channel);
const TYPES: Readonly<Record<FirmwareChannel, FirmwareEventType[]>> = {
  action: typesOn('action'),
  ack: typesOn('ack'),
};

/** The topic that a message of this type goes to. */
export function channelOf(type: FirmwareEventType): FirmwareChannel {
  return KINDS[type].channel;
}

/**
 * A controller's topic of this protocol (seed: firmware-update).
 * @param prefix put before the topic, with or without a slash at its end: `lms` gives `lms/stores/…`
 */
export function firmwareTopic(channel: FirmwareChannel, prefix = ''): TopicTemplate {
  return controllerTopic(channel, prefix);
}

/**
 * Reads a message of either side.
 * @param parameters values of the topic
 * @param now epoch milliseconds UTC
 * @throws FieldloomError with the code of a dead letter, and a pointer where a field is wrong
 */
export function parse(
  channel: FirmwareChannel,
  parameters: TopicParameters,
  payload: Buffer,
  now: number,
): FirmwareMessage {
  return read(channel, idsOfTopic(parameters), parseJson(payload, MESSAGE_LIMITS), now);
}

function read(channel: FirmwareChannel, ids: ControllerIds, value: unknown, now: number): FirmwareMessage {
  checkKind(value, TYPES[channel]);
  const type = (value as { event_type?: FirmwareEventType } | null)?.event_type;
  // Without an event type any schema of the channel names what is missing.
  const kind =
    KINDS[TYPES[channel].find((known) => known === type) ?? (TYPES[channel][0] as FirmwareEventType)];
  const result = (kind.validate as Validator<unknown>)(value);
  if (!result.valid) {
    throw new FieldloomError('schema_mismatch', result.message, { pointer: result.pointer });
  }
  const original = value as wire.Envelope & { payload: never };
  const body: object = kind.read(original.payload);
  return { type, ...readEnvelope(original, ids, now), ...body, original } as unknown as FirmwareMessage;
}

/**
 * The wire's JSON, its fields in the order of the seed.
 * @param offsetMinutes of the clock that times are written by, east of Greenwich; 0 is written `Z`
 */
export function format(message: OutgoingFirmwareMessage, offsetMinutes = 0): string {
  return JSON.stringify({
    ...formatEnvelope(message, message.type, offsetMinutes),
    payload: KINDS[message.type].write(message as never),
  });
}
