import { serviceUrl } from './services.js';
import { useServer } from './store.js';

/** The tests of the store. */
const SUITES = [
  '../system/store-commit.test.js',
  '../system/store-keeping.test.js',
  '../system/store-laundry.test.js',
  '../system/store-command.test.js',
  '../system/store-device.test.js',
  '../system/store-pond.test.js',
  '../system/store-firmware.test.js',
  '../system/store-solar.test.js',
  '../system/store-solar-retention.test.js',
  '../system/store-roast.test.js',
  '../system/store-overview.test.js',
  '../system/store-gateways.test.js',
];

/** Runs them word for word on the database server at the URL in `variable`. */
export function storeSuitesOn(name: string, variable: string): void {
  describe(`on ${name}`, function () {
    this.timeout(60_000);
    before(() => useServer(serviceUrl(variable)));
    after(() => useServer(undefined));
    for (const suite of SUITES) {
      // Loaded anew: a suite registers its tests as it is loaded.
      delete require.cache[require.resolve(suite)];
      require(suite);
    }
  });
}
