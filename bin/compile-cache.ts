import module from 'node:module';
import { join } from 'node:path';

/**
 * Keeps what V8 has compiled beside the code, so that the next start does not compile Node-RED and its nodes again: a
 * small gateway is up sooner after a loss of power. A build empties it with dist/; a folder that may not be written to
 * goes without.
 */
module.enableCompileCache(join(__dirname, '../.compile-cache'));
