import type { AgentRecord, AgentStatus, PendingReply, Reply } from './agent-ports.js';
import type { FirmwareFile } from './codec.js';

export type End = 'completed' | 'failed' | 'cancelled';

const ENDS: Readonly<Record<End, Reply>> = {
  completed: 'completed',
  failed: 'failed',
  cancelled: 'cancel_ack',
};

const isEnd = (status: AgentStatus): status is End => status in ENDS;

export const hasEnded = ({ status }: AgentRecord): boolean => isEnd(status);

/** Errors on the wire: enough to understand, never so many that the message is refused. */
const MOST_ERRORS = 20;
const LONGEST_ERROR = 500;

/** A deployment that nobody has heard of before. @param file null where no command of it was accepted */
export function freshRecord(
  deploymentId: string,
  file: FirmwareFile | null,
  correlationId: string | null,
  now: number,
): AgentRecord {
  return {
    deploymentId,
    status: 'downloading',
    file,
    correlationId,
    cancelCorrelationId: null,
    acknowledged: false,
    errors: [],
    fresh: false,
    deadlineAt: null,
    acceptedAt: now,
    updatedAt: now,
    replies: [],
    replyCount: 0,
  };
}

/** With one reply more to be sent; one of the same kind that has not gone out yet is replaced by it. */
export function replied(record: AgentRecord, reply: Reply): AgentRecord {
  const number = record.replyCount + 1;
  const correlationId = reply === 'cancel_ack' ? record.cancelCorrelationId : record.correlationId;
  const replies = [
    ...record.replies.filter((other) => other.reply !== reply),
    { number, reply, correlationId },
  ];
  return { ...record, replies, replyCount: number };
}

/** The same without a reply that the broker has taken; undefined where it is not there any more. */
export function withoutReply(record: AgentRecord, number: number, now: number): AgentRecord | undefined {
  const replies: PendingReply[] = record.replies.filter((reply) => reply.number !== number);
  return replies.length === record.replies.length ? undefined : { ...record, replies, updatedAt: now };
}

/** Ended, and its end to be told. */
export function ended(
  record: AgentRecord,
  status: End,
  now: number,
  errors: readonly string[] = [],
): AgentRecord {
  const texts = errors.slice(0, MOST_ERRORS).map((text) => text.slice(0, LONGEST_ERROR));
  return replied({ ...record, status, errors: texts, deadlineAt: null, updatedAt: now }, ENDS[status]);
}

/** The end that is stored is told once more, whatever was asked. @param withAck after an update_firmware */
export function endAgain(record: AgentRecord, withAck: boolean): AgentRecord {
  const acknowledged = withAck && record.acknowledged ? replied(record, 'ack') : record;
  return isEnd(record.status) ? replied(acknowledged, ENDS[record.status]) : record;
}

/** The oldest ends beyond what is remembered; never one that somebody still has to be told. */
export function forgettable(records: ReadonlyMap<string, AgentRecord>, remembered: number): string[] {
  const excess = records.size - remembered;
  if (excess <= 0) return [];
  return [...records.values()]
    .filter((record) => hasEnded(record) && record.replies.length === 0)
    .sort((a, b) => a.updatedAt - b.updatedAt)
    .slice(0, excess)
    .map(({ deploymentId }) => deploymentId);
}
