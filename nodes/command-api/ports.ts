import type { PondControl } from '../../lib/command/pond-control.js';
import type { Dispatcher } from '../../lib/command/ports.js';
import type { Clock } from '../../lib/core/clock.js';
import type { CommandQueries } from '../../lib/store/command-queries.js';
import type { Ponds } from '../../lib/store/pond.js';
import type { PondOverview } from '../../lib/store/pond-overview.js';
import type { Answer, FailedRequest } from '../../lib/web/route.js';
import type { ProvidedDevices } from '../device-events/provided.js';

export interface PondRest {
  /** @throws FieldloomError store_unavailable while the store is not open */
  ponds(): Ponds;
  overview(): PondOverview;
  executions(): Pick<CommandQueries, 'execution' | 'executionsOf'>;
  control(): PondControl;
  /** @throws FieldloomError missing_setting */
  dispatcher(): Dispatcher;
  /** Undefined where no device-events node is named. */
  devices(): ProvidedDevices | undefined;
  /** Told of each request that is refused. */
  refused(request: FailedRequest, answer: Answer): void;
  clock: Clock;
}
