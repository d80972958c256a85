'use strict';
const { appendFileSync } = require('node:fs');
const { relative } = require('node:path');
const { reporters, Runner } = require('mocha');

/**
 * Mocha's own report; and, for `.ci/run`, a line `failed <file>` for each failure and `took <seconds> <file>` for each
 * file in the file that TEST_RECORD names.
 */
module.exports = class Reporter extends reporters.Spec {
  constructor(runner, options) {
    super(runner, options);
    const record = (line) => appendFileSync(process.env.TEST_RECORD, `${line}\n`);
    const named = ({ file }) => relative(process.cwd(), file ?? '');
    const began = new Map();
    runner.on(Runner.constants.EVENT_TEST_FAIL, (test) => record(`failed ${named(test)}`));
    runner.on(Runner.constants.EVENT_SUITE_BEGIN, (suite) => began.set(suite, Date.now()));
    runner.on(Runner.constants.EVENT_SUITE_END, (suite) => {
      if (suite.parent?.root)
        record(`took ${((Date.now() - began.get(suite)) / 1000).toFixed(1)} ${named(suite)}`);
    });
  }
};
