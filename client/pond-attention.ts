import { outsideAt, VALUE_COUNTS_MS } from '../lib/command/limits.js';
import { alertsInOrder, alertTitle, SEVERITY_ICONS, unnoticed } from './pond-alerts.js';
import { actionOf, pastWords, progressView } from './pond-command.js';
import { inOrder } from './pond-parameters.js';
import { hasEnded, type Latest, type Pond } from './pond-state.js';
import { agoWords, counted, durationWords, exactTime } from './words.js';

export interface PondAttentionView {
  key: string;
  kind: 'alert' | 'device' | 'limit' | 'command';
  pondId: number;
  name: string;
  look: 'failure' | 'warning';
  icon: string;
  title: string;
  text: string;
  exact: string;
}

const FED_LATELY_MS = 7_200_000;
/** A failed command calls for attention for so long, unless another one follows it. */
const FAILURES_OF_MS = 86_400_000;

/** What of a pond calls for somebody. @param now epoch milliseconds UTC */
export function attentionOf(pond: Pond, now: number): PondAttentionView[] {
  const { pondId, name, device } = pond;
  const found: PondAttentionView[] = alertsInOrder(unnoticed(pond)).map((alert) => ({
    ...{ key: `alert-${alert.alertId}`, kind: 'alert', pondId, name },
    look: alert.severity === 'critical' ? 'failure' : 'warning',
    icon: SEVERITY_ICONS[alert.severity],
    title: `${name}: ${alertTitle(alert)}`,
    text: `For ${durationWords(now - alert.raisedAt)}. Open the pond to acknowledge it.`,
    exact: exactTime(alert.raisedAt),
  }));
  found.push(...limitsOf(pond, now));
  if (device?.online === false) {
    found.push({
      ...{ key: `device-${pondId}`, kind: 'device', pondId, name },
      look: 'failure',
      icon: 'mdi-access-point-network-off',
      title: `${name}: device offline for ${durationWords(now - device.lastSeen)}`,
      text: 'Its values are old, and commands do not reach it. Check its power and network.',
      exact: `Last heard ${exactTime(device.lastSeen)}`,
    });
  }
  const [last] = pond.executions;
  const recent = last !== undefined && now - last.createdAt < FAILURES_OF_MS;
  if (recent && progressView(last, now).look === 'failed') {
    const progress = progressView(last, now);
    found.push({
      ...{ key: `command-${last.executionId}`, kind: 'command', pondId, name },
      look: 'warning',
      icon: 'mdi-alert-circle-outline',
      title: `${name}: ${progress.title} failed`,
      text: progress.text,
      exact: progress.exact,
    });
  }
  return found;
}

/** Values that are outside their limits, unless an alert of the device tells of them, or they are old. */
function limitsOf(
  { pondId, name, device, latest, thresholds, alerts }: Pond,
  now: number,
): PondAttentionView[] {
  if (device?.online === false) return [];
  return inOrder(Object.keys(latest)).flatMap((parameter) => {
    const { value, at } = latest[parameter] as Latest;
    const limits = thresholds[parameter] ?? {};
    const side = outsideAt(value, limits);
    const isTold = alerts.some((alert) => alert.parameter === parameter);
    if (side === undefined || isTold || now - at > VALUE_COUNTS_MS) return [];
    const limit = side === 'low' ? limits.min : limits.max;
    return {
      ...{ key: `limit-${pondId}-${parameter}`, kind: 'limit' as const, pondId, name },
      look: 'warning' as const,
      icon: side === 'low' ? 'mdi-arrow-down-bold-circle' : 'mdi-arrow-up-bold-circle',
      title: `${name}: ${alertTitle({ parameter, value, limit })}`,
      text: `Measured ${agoWords(at, now)}.`,
      exact: exactTime(at),
    };
  });
}

/** What to know before one presses: already fed, offline … */
export function cautionsOf({ device, executions }: Pond, now: number): string[] {
  const cautions: string[] = [];
  if (device === undefined) cautions.push('The device was never heard: the command may reach nobody.');
  else if (!device.online) {
    const since = durationWords(now - device.lastSeen);
    cautions.push(`The device is offline for ${since}: the command will fail unless it comes back at once.`);
  }
  const open = executions.filter((execution) => !hasEnded(execution));
  const [first] = open;
  if (first !== undefined) {
    cautions.push(`${counted(open.length, 'command')} on the way already: ${actionOf(first).title}.`);
  }
  const fed = executions.find((one) => /FEED/i.test(one.action) && hasEnded(one));
  if (fed !== undefined && now - fed.createdAt < FED_LATELY_MS) {
    const ago = agoWords(fed.createdAt, now);
    const { status, title, text } = progressView(fed, now);
    cautions.push(status === 'COMPLETED' ? `${pastWords(fed)} ${ago}.` : `${title} ${ago}: ${text}`);
  }
  return cautions;
}
