import type { NodeMessage } from 'node-red';
import type { AgentRecord, Progress } from '../../lib/firmware/agent-ports.js';
import type { AgentListener, Handover } from '../../lib/firmware/agent-runner.js';
import type { Level } from '../runtime/define-node.js';

type Send = (...outputs: (NodeMessage | null)[]) => void;
type Show = (level: Level, key: string, values?: Record<string, string | number>) => void;

const instant = (ms: number) => new Date(ms).toISOString();

/** What a flow learns of a deployment; the names are those of the wire. */
function firmwareOf({ deploymentId, file, acceptedAt }: AgentRecord) {
  return {
    deployment_id: deploymentId,
    accepted_at: instant(acceptedAt),
    ...(file !== null && {
      firmware_version: file.firmwareVersion,
      file_size: file.fileSize,
      checksum: file.checksum,
      ...(file.sha256 !== undefined && { sha256: file.sha256 }),
      ...(file.signature !== undefined && { signature: file.signature }),
    }),
  };
}

const fileMessage = ({ path, record }: Handover) =>
  ({ topic: 'firmware', payload: path, firmware: firmwareOf(record) }) as NodeMessage;

const LEVELS = {
  downloading: 'working',
  installing: 'waiting',
  cancelling: 'waiting',
  completed: 'working',
  failed: 'failed',
  cancelled: 'idle',
} as const;

/** The first three outputs: a file to install, progress, cancel while it is installed. */
export function outputs(send: Send, show: Show): AgentListener {
  let percentShown = -1;

  function progress(record: AgentRecord, more: Record<string, unknown>): void {
    const { deployment_id, firmware_version } = firmwareOf(record);
    const payload = { deployment_id, firmware_version, ...more };
    send(null, { topic: 'progress', payload } as NodeMessage);
  }

  return {
    install: (handover) => send(fileMessage(handover)),
    cancelAsked: (handover) => send(null, null, fileMessage(handover)),
    changed(record, restarted) {
      percentShown = -1;
      const { status, errors } = record;
      progress(record, {
        state: status,
        ...(status === 'failed' && { errors }),
        ...(restarted && { restarted }),
      });
      show(LEVELS[status], status);
    },
    progress(record, { phase, bytes }: Progress) {
      const size = record.file?.fileSize ?? bytes;
      const percent = Math.floor((bytes / size) * 100);
      // Pieces come by the thousand: a percent is as fine as anybody wants to know it.
      if (phase === 'downloading' && percent === percentShown) return;
      percentShown = percent;
      progress(record, { state: phase, bytes, size, percent });
      show('working', phase === 'downloading' ? 'percent' : 'verifying', { percent });
    },
    waiting(record, reason, at) {
      progress(record, { state: 'waiting', reason, again_at: instant(at) });
      show('waiting', 'again');
    },
  };
}
