/** Which of a collector's series are asked for: as many as one answer may have. */
import { describe, expect, test } from 'vitest';
import { metricsOf } from '#dashboard/charts/specs.ts';

const times = (count: number, metric: string) => Array.from({ length: count }, () => metric);

describe('metricsOf', () => {
  test('names each metric once, those of samples first', () => {
    expect(
      metricsOf([...times(3, 'temperature'), ...times(5, 'system.cpu.utilization'), 'pressure']),
    ).toEqual(['system.cpu.utilization', 'temperature', 'pressure']);
  });

  test('leaves out what samples have and no chart shows', () => {
    expect(metricsOf(['system.uptime', 'process.uptime', 'temperature'])).toEqual(['temperature']);
  });

  test('asks for no more series than one answer may have', () => {
    expect(metricsOf([...times(900, 'cells'), 'temperature'])).toEqual(['temperature']);
    expect(
      metricsOf([
        ...times(300, 'system.network.io'),
        ...times(201, 'system.disk.io'),
        ...times(200, 'system.cpu.utilization'),
      ]),
    ).toEqual(['system.cpu.utilization', 'system.network.io']);
  });

  test('asks for no more metrics than one question may have', () => {
    const others = Array.from({ length: 100 }, (_, i) => `metric ${i}`);
    expect(metricsOf(others).length).toBeLessThanOrEqual(32);
  });
});
