// Rules of nrlint, Node-RED's own linter of flows: `npm test` runs it over all flows and examples.
module.exports = {
  rules: {
    'align-to-grid': true,
    'max-flow-size': true,
    'no-duplicate-http-in-urls': true,
    'no-loops': true,
    'no-overlapping-nodes': true,
    'no-unconnected-http-nodes': true,
    'no-unnamed-functions': true,
    'no-unnamed-links': true,
    'function-eslint': true,
  },
};
