import type { Asked } from './asked.js';
import { limitsWords, parameterOf, withUnit } from './pond-parameters.js';
import type { Alert, Pond } from './pond-state.js';
import { agoWords, clockTime, exactTime } from './words.js';

export interface AlertView {
  alertId: string;
  severity: Alert['severity'];
  severityWord: string;
  icon: string;
  title: string;
  text: string;
  exact: string;
  acknowledged: string;
  pending: boolean;
  error: string;
}

const SEVERITY_ORDER: Record<Alert['severity'], number> = { critical: 0, warning: 1, info: 2 };

/** What nobody has taken notice of yet comes first, then what weighs more. */
export function alertsInOrder(alerts: readonly Alert[]): Alert[] {
  const noticed = ({ acknowledgedAt }: Alert) => (acknowledgedAt === undefined ? 0 : 1);
  return [...alerts].sort(
    (a, b) =>
      noticed(a) - noticed(b) ||
      SEVERITY_ORDER[a.severity] - SEVERITY_ORDER[b.severity] ||
      b.raisedAt - a.raisedAt,
  );
}

export const SEVERITY_ICONS: Record<Alert['severity'], string> = {
  critical: 'mdi-alert-octagon',
  warning: 'mdi-alert',
  info: 'mdi-information-outline',
};
const SEVERITY_WORDS: Record<Alert['severity'], string> = {
  critical: 'Critical',
  warning: 'Warning',
  info: 'Notice',
};

/** Those that nobody has taken notice of. */
export const unnoticed = ({ alerts }: Pond) =>
  alerts.filter(({ acknowledgedAt }) => acknowledgedAt === undefined);

export function alertView(alert: Alert, asked: Asked | undefined, now: number): AlertView {
  const { alertId, severity, message, raisedAt, acknowledgedAt, acknowledgedBy } = alert;
  const by = acknowledgedBy === undefined ? '' : ` by ${acknowledgedBy}`;
  return {
    alertId,
    severity,
    severityWord: SEVERITY_WORDS[severity],
    icon: SEVERITY_ICONS[severity],
    title: alertTitle(alert),
    text: `${message === '' ? '' : `${message.replace(/\.$/, '')}. `}Since ${clockTime(raisedAt, now)}, ${agoWords(raisedAt, now)}.`,
    exact: exactTime(raisedAt),
    acknowledged: acknowledgedAt === undefined ? '' : `Acknowledged${by} ${clockTime(acknowledgedAt, now)}`,
    pending: asked?.kind === 'pending',
    error: asked?.kind === 'failed' ? asked.message : '',
  };
}

/** `Oxygen 3.2 mg/L, at least 5 wanted`. */
export function alertTitle({
  parameter: name,
  value,
  limit,
}: Pick<Alert, 'parameter' | 'value' | 'limit'>): string {
  const parameter = parameterOf(name);
  if (value === undefined) return parameter.label;
  const measured = `${parameter.label} ${withUnit(value.toFixed(parameter.decimals), parameter)}`;
  if (limit === undefined) return measured;
  const wanted = value < limit ? { min: limit, max: undefined } : { min: undefined, max: limit };
  return `${measured}, ${limitsWords(parameter, wanted)} wanted`;
}
