import assert from 'node:assert/strict';
import { payloadText } from '../../client/payload-text.js';
import { agoWords, counted, durationWords, percentWords, shortIds, startOfDay } from '../../client/words.js';

const S = 1000;
const MIN = 60 * S;
const H = 60 * MIN;
const D = 24 * H;

describe('words for people', () => {
  for (const [ms, words] of [
    [-5, '0 s'],
    [0, '0 s'],
    [59_999, '59 s'],
    [MIN, '1 min'],
    [59 * MIN + 59 * S, '59 min'],
    [H, '1 h'],
    [5 * H + 10 * MIN, '5 h 10 min'],
    [D - 1, '23 h 59 min'],
    [D, '1 d'],
    [3 * D + 4 * H + 50 * MIN, '3 d 4 h'],
    [40 * D + 4 * H, '40 d'],
  ] as const) {
    it(`says ${words} for ${ms} ms`, () => assert.equal(durationWords(ms), words));
  }

  it('says just now of what is less than two seconds ago, and of a clock that is behind', () => {
    assert.equal(agoWords(10_000, 11_999), 'just now');
    assert.equal(agoWords(10_000, 9000), 'just now');
    assert.equal(agoWords(10_000, 22_000), '12 s ago');
  });

  it('never shows a little as nothing', () => {
    assert.deepEqual([0, 0.001, 0.01, 0.354, 1].map(percentWords), ['0 %', '<1 %', '1 %', '35 %', '100 %']);
  });

  it('counts one and many', () => {
    assert.deepEqual([counted(1, 'cycle'), counted(0, 'cycle')], ['1 cycle', '0 cycles']);
  });

  it('begins the day at midnight of the reader', () => {
    const noon = new Date(2024, 2, 5, 12, 30).getTime();
    assert.equal(startOfDay(noon), new Date(2024, 2, 5).getTime());
  });

  it('shortens ids to beginnings that stay apart', () => {
    const ids = ['6ba7b811-9dad-11d1', '6ba7b810-9dad-11d1', 'short'];
    assert.deepEqual([...shortIds(ids).values()], ['6ba7b811', '6ba7b810', 'short']);
    assert.deepEqual([...shortIds(['c9f0f895-0', 'c9f0f895-1']).values()], ['c9f0f895-0', 'c9f0f895-1']);
  });

  it('shortens ids to their ends where their beginnings are alike', () => {
    const ids = ['7c2d1f64-8a35-4f19-b101', '7c2d1f64-8a35-4f19-b102', '7c2d1f64-8a35-4f19-c102'];
    assert.deepEqual([...shortIds(ids).values()], ['…b101', '…b102', '…c102']);
  });

  it('ends with whatever ids are the same', () => {
    assert.deepEqual([...shortIds(['a', 'a', '']).values()], ['a', '']);
  });
});

describe('payload of a refused message', () => {
  const base64 = (bytes: string | readonly number[]) =>
    Buffer.from(typeof bytes === 'string' ? bytes : [...bytes]).toString('base64');

  it('shows JSON indented', () => {
    assert.deepEqual(payloadText(base64('{"a":[1]}')), {
      kind: 'text',
      text: '{\n  "a": [\n    1\n  ]\n}',
      bytes: 9,
      cut: false,
    });
  });

  it('shows text that is no JSON as it came', () => {
    assert.equal(payloadText(base64('busy – nö\n')).text, 'busy – nö\n');
  });

  it('shows bytes that are no text as a hex dump', () => {
    const { kind, text } = payloadText(base64([0xff, 0x41, 0x00]));
    assert.equal(kind, 'hex');
    assert.equal(text, `0000  ff 41 00${' '.repeat(39)}  .A.`);
  });

  it('takes control characters for bytes, not for text', () => {
    assert.equal(payloadText(base64([0x41, 0x07])).kind, 'hex');
  });

  it('says when there is nothing', () => {
    assert.deepEqual(payloadText(''), { kind: 'empty', text: '', bytes: 0, cut: false });
  });

  it('shows the beginning of a long text, also where the cut goes through a character', () => {
    const shown = payloadText(base64(`x${'ä'.repeat(20_000)}`));
    assert.deepEqual([shown.kind, shown.bytes, shown.cut], ['text', 40_001, true]);
  });

  it('does not spread out what is nested thousands deep', () => {
    const nested = '['.repeat(2000) + ']'.repeat(2000);
    assert.equal(payloadText(base64(nested)).text, nested);
  });
});
