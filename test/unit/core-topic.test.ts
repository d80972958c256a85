import assert from 'node:assert/strict';
import fc from 'fast-check';
import { hasCode } from '../../lib/core/errors.js';
import { checkFilter, filterMatches, isTopicLevel, topicTemplate } from '../../lib/core/topic.js';

const metrics = topicTemplate('/stores/{store_id}/controllers/{controller_id}/metrics');

describe('a topic template', () => {
  it('gives the filter that receives all of its topics', () => {
    assert.equal(metrics.filter, '/stores/+/controllers/+/metrics');
  });

  it('reads the values of a topic and writes them back', () => {
    const values = { store_id: 's-1', controller_id: 'c-9' };
    assert.deepEqual(metrics.match('/stores/s-1/controllers/c-9/metrics'), values);
    assert.equal(metrics.format(values), '/stores/s-1/controllers/c-9/metrics');
  });

  it('does not match another topic, a longer one, one without the leading slash, or an empty id', () => {
    for (const topic of [
      '/stores/s/controllers/c/ack',
      '/stores/s/controllers/c/metrics/x',
      'stores/s/controllers/c/metrics',
      '/stores//controllers/c/metrics',
      '/Stores/s/controllers/c/metrics',
    ]) {
      assert.equal(metrics.match(topic), undefined, topic);
    }
  });

  it('refuses ids that would be a wildcard, another level or a control character', () => {
    for (const store_id of ['+', '#', 'a/b', 'a+', '', 'a\u0000', 'a\n', undefined]) {
      assert.throws(
        () => metrics.format({ store_id: store_id as string, controller_id: 'c' }),
        (error) => hasCode(error, 'invalid_topic_parameter') && error.message.includes('store_id'),
      );
    }
  });

  it('refuses a template with wildcards or half a name', () => {
    for (const template of ['/a/+/b', '/a/#', '/a/{b}c', '/a/{B}']) {
      assert.throws(
        () => topicTemplate(template),
        (error) => hasCode(error, 'invalid_topic_filter'),
      );
    }
  });

  it('reads back whatever it wrote', () => {
    fc.assert(
      fc.property(
        fc.string().filter(isTopicLevel),
        fc.string().filter(isTopicLevel),
        (store_id, controller_id) => {
          const topic = metrics.format({ store_id, controller_id });
          assert.deepEqual(metrics.match(topic), { store_id, controller_id });
          assert.ok(filterMatches(metrics.filter, topic));
        },
      ),
    );
  });
});

describe('an MQTT filter', () => {
  it('matches as MQTT 3.1.1 says in 4.7', () => {
    const cases: [string, string, boolean][] = [
      ['a/b', 'a/b', true],
      ['a/b', 'a/b/c', false],
      ['a/+', 'a/b', true],
      ['a/+', 'a', false],
      ['a/+', 'a/b/c', false],
      ['a/+', 'a/', true],
      ['+', '/a', false],
      ['+/+', '/a', true],
      ['/+', '/a', true],
      ['a/#', 'a', true],
      ['a/#', 'a/b/c', true],
      ['#', 'a/b', true],
      ['#', '$SYS/x', false],
      ['+/x', '$SYS/x', false],
      ['$SYS/#', '$SYS/x', true],
      ['a', 'A', false],
    ];
    for (const [filter, topic, expected] of cases) {
      assert.equal(filterMatches(filter, topic), expected, `${filter} on ${topic}`);
    }
  });

  it('is checked: wildcards stand for whole levels, # is last', () => {
    for (const filter of ['a/+/b', '#', '+', 'a/#', '/stores/+/x']) checkFilter(filter);
    for (const filter of ['', 'a+', 'a/#/b', 'a#', '+a/b', 'a\0']) {
      assert.throws(
        () => checkFilter(filter),
        (error) => hasCode(error, 'invalid_topic_filter'),
        filter,
      );
    }
  });
});
