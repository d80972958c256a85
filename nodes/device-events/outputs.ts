import type { NodeMessage } from 'node-red';
import type { DeviceListener } from '../../lib/command/events-backend.js';
import { formatAlert, formatDevice, formatReading } from '../../lib/command/pond-format.js';

const instant = (ms: number) => new Date(ms).toISOString();
const message = (device: string, about: string, payload: object, more: object = {}) =>
  ({
    topic: `devices/${device}/${about}`,
    payload: { device_id: device, ...payload },
    ...more,
  }) as NodeMessage;

/**
 * The five outputs: readings, heartbeats and devices that came or went, startups, alerts, refused messages. Names and
 * units are those of the REST answers; `original` is the message as it came, a refused one is its bytes.
 */
export function outputs(
  send: (...outputs: (NodeMessage | null)[]) => void,
  wired: (output: number) => boolean,
): DeviceListener {
  return {
    reading(reading) {
      if (!wired(0)) return;
      const { device, extra, original } = reading;
      send(message(device, 'readings', { ...formatReading(reading), extra }, { original }));
    },
    heartbeat({ device, at, receivedAt, original }) {
      if (!wired(1)) return;
      const payload = { event: 'heartbeat', at: instant(at), received_at: instant(receivedAt) };
      send(null, message(device, 'heartbeat', payload, { original }));
    },
    device(record, change) {
      if (change === 'started') return; // it has an output of its own
      send(null, message(record.device, change, { event: change, ...formatDevice(record) }));
    },
    startup({ device, at, receivedAt, firmwareVersion, reason, original }) {
      const payload = {
        started_at: instant(at),
        received_at: instant(receivedAt),
        firmware_version: firmwareVersion,
        reason,
      };
      send(null, null, message(device, 'startup', payload, { original }));
    },
    alert(alert, change) {
      const payload = { event: change, pond_position: alert.position, ...formatAlert(alert) };
      send(null, null, null, message(alert.device, 'alerts', payload));
    },
    refused({ topic, payload, code, message: text, pointer }) {
      const error = { code, message: text, pointer };
      send(null, null, null, null, { topic, payload, error } as unknown as NodeMessage);
    },
  };
}
