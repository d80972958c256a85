import { systemClock } from '../../lib/core/clock.js';
import { createModbusLine } from '../../lib/modbus/line.js';
import type { RoastDriver } from '../../lib/roast/driver.js';
import { createFlowDriver, FLOW_CONTROLS, type FlowDriver } from '../../lib/roast/flow-driver.js';
import type { MachineDefinition } from '../../lib/roast/machine-definition.js';
import { createModbusDriver } from '../../lib/roast/modbus-driver.js';
import { parseModbus } from '../../lib/roast/modbus-settings.js';
import { createSimulatorDriver, SIMULATOR_DEFAULTS } from '../../lib/roast/simulator-driver.js';

/** Makes the drivers of machines, and keeps those that are fed by wires. */
export function createDrivers(
  steadyNow: () => number,
  control: (machineId: string, channel: string, value: number) => void,
) {
  const onWires = new Map<string, FlowDriver>();

  /** @throws FieldloomError invalid_input */
  function make({ id, driver, config }: MachineDefinition): RoastDriver {
    onWires.delete(id);
    switch (driver) {
      case 'flow': {
        const made = createFlowDriver(
          (channel, value) => control(id, channel, value),
          config.controls ?? FLOW_CONTROLS,
        );
        onWires.set(id, made);
        return made;
      }
      case 'simulator':
        return createSimulatorDriver(steadyNow, {
          noiseC: config.noise_c ?? SIMULATOR_DEFAULTS.noiseC,
          dropoutShare: config.dropout_share ?? SIMULATOR_DEFAULTS.dropoutShare,
          greenG: config.green_g ?? SIMULATOR_DEFAULTS.greenG,
          speed: config.speed ?? SIMULATOR_DEFAULTS.speed,
        });
      case 'modbus': {
        const settings = parseModbus(config.modbus, '/config/modbus');
        return createModbusDriver(settings, createModbusLine(settings, systemClock), steadyNow);
      }
    }
  }
  return { make, onWires: (machineId: string) => onWires.get(machineId) };
}
