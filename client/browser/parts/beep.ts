import type { Severity } from '../../roast-wire.js';

/** How often and how high each severity is heard, Hz. */
const TONES: Readonly<Record<Severity, { hertz: number; times: number }>> = {
  info: { hertz: 660, times: 1 },
  warning: { hertz: 880, times: 2 },
  critical: { hertz: 1047, times: 4 },
};
const TONE_S = 0.12;
const PAUSE_S = 0.1;

let context: AudioContext | undefined;

/** Short tones, without a file. Says nothing where the browser does not let a page be heard. */
export function beep(severity: Severity): void {
  context ??= new AudioContext();
  const { hertz, times } = TONES[severity];
  void context.resume();
  for (let turn = 0; turn < times; turn += 1) {
    const begin = context.currentTime + turn * (TONE_S + PAUSE_S);
    const tone = context.createOscillator();
    const loudness = context.createGain();
    tone.frequency.value = hertz;
    // Edges that are not cut off do not click.
    loudness.gain.setValueAtTime(0, begin);
    loudness.gain.linearRampToValueAtTime(0.2, begin + 0.01);
    loudness.gain.setValueAtTime(0.2, begin + TONE_S - 0.02);
    loudness.gain.linearRampToValueAtTime(0, begin + TONE_S);
    tone.connect(loudness).connect(context.destination);
    tone.start(begin);
    tone.stop(begin + TONE_S);
  }
}
