import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { PythonValue } from '../../lib/roast/profile.js';
import { formatPython, parsePython } from '../../lib/roast/python-literal.js';

describe('a Python literal', () => {
  it('is read as Python means it', () => {
    assert.deepEqual(
      parsePython(
        `{'a': [1, -2.5e3, .5, True, False, None], "b": ('x',), 'c': {}, 'd': 'q\\'\\n\\x41\\u00e9\\\\', }`,
      ),
      Object.assign(Object.create(null), {
        a: [1, -2500, 0.5, true, false, null],
        b: ['x'],
        c: Object.create(null),
        d: "q'\nAé\\",
      }),
    );
  });

  it('is never evaluated: calls, names, operators and what is not data are refused', () => {
    for (const source of [
      "__import__('os').system('true')",
      "{'a': open('/etc/passwd')}",
      '[x for x in (1,)]',
      '{1: 2}',
      '{1, 2}',
      '1 + 1',
      'lambda: 0',
      'b"bytes"',
      'nan',
      '1e999',
      '1j',
      "f'{1}'",
      '[1 2]',
      '[1,,2]',
      "{'a' 1}",
      "'open",
      '[1',
      '',
      '{"a": constructor}',
      '# comment',
    ]) {
      assert.throws(() => parsePython(source), { code: 'invalid_profile', message: /accepted is/ }, source);
    }
  });

  it('gives no key a meaning of its own', () => {
    const dict = parsePython("{'__proto__': {'polluted': True}, 'constructor': 1}") as Record<
      string,
      unknown
    >;
    assert.deepEqual(Object.keys(dict), ['__proto__', 'constructor']);
    assert.equal(({} as Record<string, unknown>)['polluted'], undefined);
    assert.equal(dict['polluted'], undefined);
  });

  it('is refused where it is nested too deep, without using up the stack', () => {
    assert.throws(() => parsePython('['.repeat(1_000_000)), { code: 'nesting_too_deep' });
    assert.throws(() => parsePython("{'a':".repeat(1_000_000)), { code: 'nesting_too_deep' });
  });

  it('comes back as it was written', () => {
    const value = fc.letrec((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        fc.constantFrom(null, true, false),
        fc.double({ noNaN: true, noDefaultInfinity: true }).map((n) => (Object.is(n, -0) ? 0 : n)),
        fc.string({ unit: 'binary' }),
        fc.array(tie('value'), { maxLength: 4 }),
        fc.dictionary(fc.string({ unit: 'binary' }), tie('value'), { maxKeys: 4, noNullPrototype: false }),
      ),
    })).value as fc.Arbitrary<PythonValue>;
    fc.assert(
      fc.property(value, (each) => {
        assert.deepEqual(JSON.stringify(parsePython(formatPython(each))), JSON.stringify(each));
      }),
    );
  });
});
