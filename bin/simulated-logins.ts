import type { Settings } from './settings.js';
export async function renewSimulatedLogins(_settings: Settings, _mqttPort: number): Promise<void> {}
