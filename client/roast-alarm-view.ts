import type { FiredAlarm } from './followed-roaster.js';
import { alarmWords } from './roast-alarm-draft.js';
import type { RoastTrace } from './roast-trace.js';
import { roastTime, type TemperatureUnit } from './roast-units.js';
import type { AlarmConfig, Severity } from './roast-wire.js';

/** An alarm that has fired. */
export interface AlarmView {
  alarm: FiredAlarm;
  key: string;
  icon: string;
  severity: FiredAlarm['severity'];
  word: string;
  message: string;
  time: string;
}

/** An alarm that waits. */
export interface AlarmRuleView {
  id: string;
  words: string;
  message: string;
  severity: Severity;
}

const ALARM_ICONS = {
  info: 'mdi-information-outline',
  warning: 'mdi-alert-outline',
  critical: 'mdi-alert-octagon-outline',
};
const ALARM_WORDS = { info: 'Note', warning: 'Warning', critical: 'Alarm' };

/** @param trace of the same session */
export function alarmView(alarm: FiredAlarm, { chargeMs }: RoastTrace): AlarmView {
  const { alarm_id, message, severity, timestamp_ms } = alarm;
  return {
    alarm,
    key: `${alarm_id} ${timestamp_ms}`,
    icon: ALARM_ICONS[severity],
    severity,
    word: ALARM_WORDS[severity],
    message,
    time: roastTime(timestamp_ms - (chargeMs ?? 0)),
  };
}

export const alarmRule = (alarm: AlarmConfig, unit: TemperatureUnit): AlarmRuleView => ({
  id: alarm.id,
  words: alarmWords(alarm, unit),
  message: alarm.message ?? '',
  severity: alarm.severity ?? 'warning',
});
