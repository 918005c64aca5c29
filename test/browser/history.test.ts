/**
 * An hour of five collectors, a sample a second: all of it drawn, looked at closely, taken away, and
 * sent on as a link.
 */
import { readFile } from 'node:fs/promises';
import type { Page } from 'playwright-core';
import { beforeAll, expect, test } from 'vitest';
import { until } from '../ground/until.ts';
import { chart, countOf, liveness, pointsOf } from './shown.ts';
import { deliver, type Sent } from './source.ts';
import { picture, useStage } from './stage.ts';

const stage = useStage();

const COLLECTORS = ['web-1', 'web-2', 'web-3', 'web-4', 'web-5'];
const SAMPLES = 3_600;
const SECOND_US = 1_000_000;

interface Sample {
  readonly metrics: readonly { readonly name: string; readonly value: number }[];
}

/**
 * A sample of the lab's collector that has what is charted here: on a busy machine the first may lack
 * a reading that did not come in time.
 */
async function template(): Promise<Sample> {
  return until('a sample with the CPU', async () => {
    const answer = await fetch(`${stage.url}api/v1/frames?limit=20`);
    const { frames } = (await answer.json()) as { frames: { payload?: Sample }[] };
    const samples = frames.flatMap(({ payload }) => payload ?? []);
    return samples.find(({ metrics }) =>
      metrics.some(({ name }) => name === 'system.cpu.utilization'),
    );
  });
}

function hourOf(sample: Sample, phase: number): Sent[] {
  const start = Date.now() * 1_000 - SAMPLES * SECOND_US;
  return Array.from({ length: SAMPLES }, (_, i) => {
    const swing = 0.6 + 0.4 * Math.sin((i + phase * 300) / 200);
    const metrics = sample.metrics.map((one) => ({ ...one, value: one.value * swing }));
    return { capturedAt: start + i * SECOND_US, payload: { ...sample, metrics } };
  });
}

beforeAll(async () => {
  const sample = await template();
  for (const [phase, id] of COLLECTORS.entries()) {
    await deliver(stage, id, hourOf(sample, phase));
  }
});

/** All of it is drawn: buckets of a few seconds each. */
async function untilDrawn(page: Page): Promise<void> {
  const cpu = chart(page, 'CPU');
  await cpu.waitFor();
  await until('the hour is drawn', async () => (await pointsOf(cpu)).shown >= SAMPLES / 10);
}

test('each of the five shows its hour', async () => {
  const page = await stage.openPage({ at: '/?range=1h' });
  for (const id of COLLECTORS) {
    await page.getByRole('navigation', { name: 'Collectors' }).getByText(id).click();
    await page.getByRole('heading', { name: id }).waitFor();
    await untilDrawn(page);
    await until('its audit', async () => (await countOf(page, 'stored')) === SAMPLES);
    expect(new URL(page.url()).searchParams.get('collector')).toBe(id);
  }
  await picture('hour', page);
});

test('a payload of more numbers than one answer has leaves the page live', async () => {
  const now = Date.now() * 1_000;
  const cells = Array.from({ length: 600 }, (_, i) => i);
  await deliver(
    stage,
    'array',
    [30, 20, 10].map((ago) => ({
      capturedAt: now - ago * SECOND_US,
      payload: { cells, temperature: ago },
    })),
  );
  const page = await stage.openPage({ at: '/?collector=array' });
  await chart(page, 'temperature').waitFor();
  await liveness(page, /^Live$/).waitFor();
});

test('a range is dragged, moved by keys, gone back from, and carried by the address', async () => {
  const page = await stage.openPage({ at: `/?collector=${COLLECTORS[0]}&range=1h` });
  await untilDrawn(page);
  const query = () => new URL(page.url()).searchParams;
  const box = await chart(page, 'CPU').boundingBox();
  if (box === null) throw new Error('the chart has no place');
  const y = box.y + box.height / 2;
  await page.mouse.move(box.x + box.width * 0.4, y);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.6, y, { steps: 5 });
  await page.mouse.up();
  await page.waitForURL(/from=.*&to=/);
  const dragged = Date.parse(query().get('to') ?? '') - Date.parse(query().get('from') ?? '');
  expect(dragged / 3_600_000).toBeCloseTo(0.2, 1);
  await untilDrawn(page);

  const address = page.url();
  const other = await stage.openPage({ at: address });
  await untilDrawn(other);
  await page.getByRole('group', { name: /^Charts/ }).focus();
  await page.keyboard.press('ArrowLeft');
  await page.waitForURL((url) => url.href !== address);
  await page.goBack();
  await page.waitForURL(address);
  await page.getByRole('group', { name: /^Charts/ }).focus();
  await page.keyboard.press('Escape');
  await page.waitForURL(/range=1h/);
});

test('values under the pointer are told on all charts, with the time in UTC', async () => {
  const page = await stage.openPage({ at: `/?collector=${COLLECTORS[0]}&range=1h` });
  await untilDrawn(page);
  const charts = page.getByRole('group', { name: /^Charts/ });
  await chart(page, 'CPU').hover();
  await charts.getByText(/UTC/).waitFor();
});

test('the shown range is taken away as CSV and as JSON', async () => {
  const page = await stage.openPage({ at: `/?collector=${COLLECTORS[0]}&range=1h` });
  await untilDrawn(page);
  for (const [name, head] of [
    ['CSV', /^collector,epoch,seq,captured_at/],
    ['JSON', /^\{"collector":"web-1"/],
  ] as const) {
    const download = page.waitForEvent('download');
    await page.getByRole('region', { name: 'Export' }).getByRole('link', { name }).click();
    const text = await readFile(await (await download).path(), 'utf8');
    expect(text).toMatch(head);
    expect(text.trimEnd().split('\n').length).toBeGreaterThan(SAMPLES / 2);
  }
});

test('what comes in late fills in where it was captured, however far back', async () => {
  const hour = hourOf(await template(), COLLECTORS.length);
  const third = SAMPLES / 3;
  await deliver(stage, 'late-1', [...hour.slice(0, third), ...hour.slice(2 * third)]);
  const page = await stage.openPage({ at: '/?collector=late-1&range=1h' });
  const cpu = chart(page, 'CPU');
  await cpu.waitFor();
  await until('two thirds are drawn', async () => (await pointsOf(cpu)).shown >= SAMPLES / 10);
  const { shown } = await pointsOf(cpu);
  await picture('hole', page);
  await deliver(stage, 'late-1', hour.slice(third, 2 * third));
  await until('the rest is, too', async () => (await pointsOf(cpu)).shown > 1.3 * shown);
  await picture('hole-filled', page);
});
