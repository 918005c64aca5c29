/** Numbers, units and times in the words of the page. */
import { describe, expect, test } from 'vitest';
import { detailsText, linkWord } from '#dashboard/link-details.ts';
import { axisMarks, clockText, countingText, durationText, utcText } from '#dashboard/time.ts';
import { axisTexts, plural, shortCountText, valueText } from '#dashboard/units.ts';

describe('valueText', () => {
  test.each([
    [0.1234, '1', '12.3 %'],
    [0, 'By', '0 B'],
    [1_536, 'By', '1.5 KiB'],
    [5e15, 'By/s', '4.4 PiB/s'],
    [0.0334, 's', '33 ms'],
    [0.004, 's', '4.0 ms'],
    [42, 's', '42.0 s'],
    [5_400, 's', '90.0 min'],
    [12, '{frame}', '12'],
    [8.064, '{thread}', '8.06'],
    [21.5, 'Cel', '21.50 Cel'],
    [1_234_567, '', '1,234,567'],
    [undefined, 's', '–'],
    [Number.NaN, '1', '–'],
    [-2_048, 'By', '-2.0 KiB'],
  ])('%s in %s is %s', (value, unit, text) => {
    expect(valueText(value, unit)).toBe(text);
  });
});

test('an axis has one unit', () => {
  expect(axisTexts([0, 512, 1_024], 'By')).toEqual(['0 KiB', '0.5 KiB', '1 KiB']);
  expect(axisTexts([0, 0.5, 1], '1')).toEqual(['0 %', '50 %', '100 %']);
  expect(axisTexts([0, 0.5], 's')).toEqual(['0 ms', '500 ms']);
  expect(axisTexts([0, 20_000], '{frame}')).toEqual(['0', '20K']);
  expect(axisTexts([], 'By')).toEqual([]);
});

test('counts', () => {
  expect(plural(1, 'frame')).toBe('1 frame');
  expect(plural(1_200, 'frame')).toBe('1,200 frames');
  expect([999, 9_999, 1_234_567].map(shortCountText)).toEqual(['999', '9,999', '1.23M']);
});

test.each([
  [0, '0 s', '0:00'],
  [42_400, '42 s', '0:42'],
  [200_000, '3 min 20 s', '3:20'],
  [7_500_000, '2 h 5 min', '2:05:00'],
  [259_200_000, '3 d', '72:00:00'],
  [-5, '0 s', '0:00'],
])('%i ms last %s and count as %s', (duration, sentence, counting) => {
  expect(durationText(duration)).toBe(sentence);
  expect(countingText(duration)).toBe(counting);
});

describe('moments', () => {
  const noon = new Date(2026, 10, 26, 12, 0, 5).getTime();

  test('are of the day, unless it is another one', () => {
    expect(clockText(noon, noon + 60_000)).toBe('12:00:05');
    expect(clockText(noon, noon + 86_400_000)).toBe('26 Nov, 12:00:05');
    expect(clockText(noon, noon + 60 * 86_400_000)).toBe('26 Nov 2026, 12:00:05');
  });

  test('have their UTC', () => {
    expect(utcText(Date.UTC(2026, 10, 26, 12, 0, 5, 7))).toBe('2026-11-26 12:00:05.007 UTC');
  });
});

describe('marks of an axis', () => {
  const noon = new Date(2026, 10, 26, 12).getTime();

  test('are round in local time, and no more than there is room for', () => {
    const marks = axisMarks(noon - 90_000, noon + 210_000, 6);
    expect(marks.map(({ text }) => text)).toEqual(['11:59', '12:00', '12:01', '12:02', '12:03']);
  });

  test('have seconds where they are closer, days where they are further apart', () => {
    expect(axisMarks(noon, noon + 20_000, 5).map(({ text }) => text)).toEqual([
      '12:00:00',
      '12:00:05',
      '12:00:10',
      '12:00:15',
      '12:00:20',
    ]);
    expect(axisMarks(noon, noon + 2 * 86_400_000, 3).map(({ text }) => text)).toEqual([
      '27 Nov',
      '28 Nov',
    ]);
  });

  test('of no time are none', () => {
    expect(axisMarks(noon, noon, 5)).toEqual([]);
    expect(axisMarks(noon, Number.NaN, 5)).toEqual([]);
  });
});

test.each([
  [[], ''],
  [['+250 ms to the server'], '+250 ms to the server'],
  [
    [
      '+250 ms to the server',
      '64 kB/s to the server',
      '+250 ms to the collector',
      '64 kB/s to the collector',
    ],
    '+250 ms both ways · 64 kB/s both ways',
  ],
  [
    ['+250 ms to the server', '+100 ms to the collector'],
    '+250 ms to the server · +100 ms to the collector',
  ],
  [['timeout 5000 ms', 'timeout 5000 ms'], 'timeout 5000 ms'],
  [
    ['timeout {"timeout":0} to the server'],
    'swallows everything and says nothing on the way to the server',
  ],
  [
    ['timeout {"timeout":0} to the server', 'timeout {"timeout":0} to the collector'],
    'swallows everything and says nothing both ways',
  ],
  [
    ['timeout {"timeout":900} to the server on 50 % of connections'],
    'swallows everything, and ends a connection after 900 ms without any on the way to the server on 50 % of connections',
  ],
  [
    ['reset_peer {"timeout":0} to the server'],
    'resets new connections at their first bytes on the way to the server',
  ],
  [
    ['slow_close {"delay":500} to the server'],
    'connections end 500 ms late on the way to the server',
  ],
  [
    ['limit_data {"bytes":4096} to the server'],
    'ends each connection after 4096 bytes on the way to the server',
  ],
  [
    ['slicer {"average_size":64,"size_variation":8,"delay":10} to the collector'],
    'cut into pieces of some 64 bytes, 10 µs apart on the way to the collector',
  ],
  [['0 kB/s to the server'], 'holds everything back on the way to the server'],
  [['unheard {"of":1} to the server'], 'unheard {"of":1} to the server'],
  [['timeout {broken} to the server'], 'timeout {broken} to the server'],
])('details of the link %j are %s', (details, text) => {
  expect(detailsText(details)).toBe(text);
});

test('a link that lets nothing through has a word of its own', () => {
  expect(linkWord({ state: 'slow', details: ['timeout {"timeout":0} to the server'] })).toBe(
    'swallowing',
  );
  expect(linkWord({ state: 'slow', details: ['+250 ms to the server'] })).toBe('slow');
  expect(linkWord({ state: 'unknown', details: [] })).toBe('not known');
});
