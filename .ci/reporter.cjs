'use strict';
const { appendFileSync } = require('node:fs');
const { relative } = require('node:path');
const { reporters, Runner } = require('mocha');

/**
 * Mocha's own report; and, for `.ci/run`, a line `failed <file>` for each failure and `took <seconds> <file>` for the
 * tests of each file, in the file that TEST_RECORD names. A test alone knows its file where mocha runs several at once.
 */
module.exports = class Reporter extends reporters.Spec {
  constructor(runner, options) {
    super(runner, options);
    const { EVENT_TEST_FAIL, EVENT_TEST_END, EVENT_RUN_END } = Runner.constants;
    const record = (line) => appendFileSync(process.env.TEST_RECORD, `${line}\n`);
    const named = ({ file }) => relative(process.cwd(), file ?? '');
    const took = new Map();
    runner.on(EVENT_TEST_FAIL, (test) => record(`failed ${named(test)}`));
    runner.on(EVENT_TEST_END, (test) =>
      took.set(named(test), (took.get(named(test)) ?? 0) + (test.duration ?? 0)),
    );
    runner.on(EVENT_RUN_END, () => {
      for (const [file, ms] of took) record(`took ${(ms / 1000).toFixed(1)} ${file}`);
    });
  }
};
