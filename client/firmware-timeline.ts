import { type ActionView, type DeploymentAction, deploymentActions } from './firmware-actions.js';
import type { DeploymentWire, HistoryWire } from './firmware-wire.js';
import { DEPLOYMENT_WORDS, eventWords, type Look, noteOf } from './firmware-words.js';
import { clockTime, durationWords, exactTime } from './words.js';

export interface LineView {
  key: string;
  time: string;
  exact: string;
  text: string;
  /** How long after the line before. */
  after: string;
}

/** The part of one controller, opened. */
export interface TimelineView {
  deploymentId: string;
  controllerId: string;
  storeId: string;
  stage: string;
  look: Look;
  icon: string;
  word: string;
  note: string;
  /** Until when it has to have ended; empty where it has. */
  deadline: string;
  attempts: number;
  /** Empty while it has reported none. */
  version: string;
  lines: readonly LineView[];
  actions: readonly ActionView<DeploymentAction>[];
}

/** Past this a line says how long it took to come. */
const WORTH_SAYING_MS = 1000;

export function lineViews(
  history: readonly HistoryWire[],
  words: (line: HistoryWire) => string,
  now: number,
): LineView[] {
  return history.map((line, index) => {
    const at = Date.parse(line.at);
    const took = at - Date.parse(history[index - 1]?.at ?? line.at);
    return {
      key: `${index}-${line.event}`,
      time: clockTime(at, now),
      exact: exactTime(at),
      text: words(line),
      after: took < WORTH_SAYING_MS ? '' : `+ ${durationWords(took)}`,
    };
  });
}

export function timelineView(deployment: DeploymentWire, now: number): TimelineView {
  const { state, deadline_at: deadline, ended_at: endedAt } = deployment;
  return {
    deploymentId: deployment.id,
    controllerId: deployment.controller_id,
    storeId: deployment.store_id,
    stage: `Stage ${deployment.stage + 1}`,
    ...DEPLOYMENT_WORDS[state],
    note: noteOf(deployment),
    deadline: deadline === null || endedAt !== null ? '' : clockTime(Date.parse(deadline), now),
    attempts: deployment.attempts,
    version: deployment.reported_version ?? '',
    lines: lineViews(deployment.history ?? [], eventWords, now),
    actions: deploymentActions(deployment),
  };
}
