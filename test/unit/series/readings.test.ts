/** Which numbers of a payload are charted: the rule of docs/series.md, and payloads that mean no good. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  ATTRIBUTES_CHARS_MAX,
  METRIC_CHARS_MAX,
  READINGS_MAX,
  readingsOf,
} from '#server/series/readings.ts';
import { seeded } from '#test/unit/seed.ts';

function read(payload: unknown) {
  const text = typeof payload === 'string' ? payload : JSON.stringify(payload);
  const { readings, leftOut } = readingsOf(Buffer.from(text));
  return { readings, leftOut };
}

function shortly(payload: unknown): string[] {
  return read(payload).readings.map(({ metric, unit, attributes, value }) =>
    `${metric}${attributes} ${value} ${unit}`.trimEnd(),
  );
}

describe('the rule', () => {
  test('a sample has a reading for each of its metrics, by name, attributes and scope', () => {
    const metrics = [
      { name: 'system.cpu.utilization', unit: '1', scope: 'host', value: 0.12 },
      {
        name: 'system.cpu.utilization',
        unit: '1',
        scope: 'host',
        value: 0.09,
        attributes: { 'cpu.mode': 'user', 'cpu.logical_number': 0 },
      },
    ];
    const resource = { 'host.name': 'web-3', container: false };
    expect(shortly({ schema: 'holdfast.sample/1', resource, metrics, errors: [] })).toEqual([
      'system.cpu.utilization[["scope","host"]] 0.12 1',
      'system.cpu.utilization[["cpu.logical_number","0"],["cpu.mode","user"],["scope","host"]] 0.09 1',
    ]);
  });

  test('attributes in another order are the same series', () => {
    const one = { name: 'm', value: 1, attributes: { a: 'x', b: true } };
    const other = { name: 'm', value: 1, attributes: { b: true, a: 'x' } };
    expect(shortly(one)).toEqual(shortly(other));
  });

  test('any other number is named by its path', () => {
    expect(shortly({ room: 'kitchen', air: { temperature: 21.5, co2: 640 }, on: true })).toEqual([
      'air.temperature[] 21.5',
      'air.co2[] 640',
    ]);
    expect(shortly('-17')).toEqual(['value[] -17']);
  });

  test('elements of arrays are told apart by their place', () => {
    expect(shortly({ fans: [900, null, 1_100], grid: [[1], [2]] })).toEqual([
      'fans[["index","0"]] 900',
      'fans[["index","2"]] 1100',
      'grid[["index","0.0"]] 1',
      'grid[["index","1.0"]] 2',
    ]);
  });

  test('attributes of an object hold for all numbers in it', () => {
    expect(shortly({ attributes: { room: 'hall', n: 7, x: {} }, t: 1, inner: { u: 2 } })).toEqual([
      't[["n","7"],["room","hall"]] 1',
      'inner.u[["n","7"],["room","hall"]] 2',
    ]);
  });

  test.each(['', ' ', 'plain text', '{"cut', '{"a":1}x', '"21"', 'null', 'true', '{"a":"1"}'])(
    'there is nothing to chart in %j',
    (text) => expect(read(text)).toEqual({ readings: [], leftOut: 0 }),
  );

  test('bytes that are not UTF-8 are not JSON', () => {
    const bytes = Buffer.concat([
      Buffer.from('{"a":1,"b":"'),
      Buffer.from([0xff]),
      Buffer.from('"}'),
    ]);
    expect(readingsOf(bytes).readings).toEqual([]);
  });
});

describe('payloads that mean no good', () => {
  test('what JSON reads as infinite is no reading', () => {
    expect(shortly('{"a":1e999,"b":-1e999,"c":NaN}')).toEqual([]);
    expect(shortly('{"a":1e999,"b":-1e308}')).toEqual(['b[] -1e+308']);
  });

  test('keys like __proto__ are names like any other', () => {
    expect(shortly('{"__proto__":{"polluted":1},"constructor":2,"toString":3}')).toEqual([
      '__proto__.polluted[] 1',
      'constructor[] 2',
      'toString[] 3',
    ]);
    expect(shortly('{"name":"m","value":1,"attributes":{"__proto__":"x"}}')).toEqual([
      'm[["__proto__","x"]] 1',
    ]);
    expect({}).not.toHaveProperty('polluted');
  });

  test('depth, count and names are bounded, and what is left out is counted', () => {
    const deep = `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`;
    expect(read(deep)).toEqual({ readings: [], leftOut: 1 });
    expect(read(`${'['.repeat(500_000)}`)).toEqual({ readings: [], leftOut: 0 });
    const many = read(Object.fromEntries(Array.from({ length: 10_000 }, (_, n) => [`k${n}`, n])));
    expect(many.readings).toHaveLength(READINGS_MAX);
    expect(many.leftOut).toBe(1);
    expect(read({ ['x'.repeat(METRIC_CHARS_MAX + 1)]: 1 })).toEqual({ readings: [], leftOut: 1 });
    const wide = { name: 'm', value: 1, attributes: { a: 'x'.repeat(ATTRIBUTES_CHARS_MAX) } };
    expect(read(wide)).toEqual({ readings: [], leftOut: 1 });
  });

  test('nothing that JSON or bytes can be throws', () => {
    const json = fc.jsonValue().map((value) => Buffer.from(JSON.stringify(value)));
    const payload = fc.oneof(json, fc.uint8Array());
    fc.assert(
      fc.property(payload, (bytes) => {
        for (const { value } of readingsOf(bytes).readings)
          expect(value).toSatisfy(Number.isFinite);
      }),
      seeded({ numRuns: 2_000 }),
    );
  });
});
