/** The producer's own numbers in each sample: of which moment they are, and that no state is missed. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { Producer } from '#collector/producer/producer.ts';
import { LEGAL_STEPS, type SenderState } from '#collector/producer/sender-state.ts';
import { CATALOGUE } from '#collector/sampler/catalogue.ts';
import { type ObservedProducer, ProducerProbe } from '#collector/sampler/probes/producer.ts';
import type { Metric } from '#collector/sampler/sample.ts';
import { Sampler } from '#collector/sampler/sampler.ts';
import { FakeClock } from './fake-clock.ts';

const QUEUE = { frames: 7, bytes: 70_000, keptBytes: 20_000 };

/** A producer whose link does what it is told. */
class FakeProducer implements ObservedProducer {
  queue = QUEUE;
  state: SenderState['name'] = 'Recovering';
  #tell: Parameters<ObservedProducer['on']>[1] = () => {};

  status() {
    return { state: this.state, queue: this.queue };
  }

  on(_: 'state', listener: Parameters<ObservedProducer['on']>[1]): void {
    this.#tell = listener;
  }

  comesTo(...names: SenderState['name'][]): void {
    for (const name of names) {
      const from = { name: this.state } as SenderState;
      this.state = name;
      this.#tell({ from, to: { name } as SenderState });
    }
  }
}

function statesOf(metrics: readonly Metric[]): string[] {
  return metrics
    .filter(({ name, value }) => name === 'holdfast.producer.state' && value === 1)
    .map(({ attributes }) => String(attributes?.state));
}

test('tells how much waits, without what is kept, and each state as 1 or 0', async () => {
  const probe = new ProducerProbe(new FakeProducer(), 'container');
  const state = (name: string, value: number) => ({
    name: 'holdfast.producer.state',
    unit: '1',
    scope: 'container',
    value,
    attributes: { state: name },
  });
  expect(await probe.read()).toEqual([
    { name: 'holdfast.queue.frames', unit: '{frame}', scope: 'container', value: 7 },
    { name: 'holdfast.queue.size', unit: 'By', scope: 'container', value: 50_000 },
    state('Ready', 0),
    state('Backoff', 0),
    state('Recovering', 1),
  ]);
});

test('a state that came and went between two samples is told once, in the sample behind it', async () => {
  const producer = new FakeProducer();
  const probe = new ProducerProbe(producer, 'host');
  producer.comesTo('Recovering', 'Recovering', 'Ready');
  expect(statesOf(await probe.read())).toEqual(['Ready', 'Recovering']);
  expect(statesOf(await probe.read())).toEqual(['Ready']);
  producer.comesTo('Backoff', 'Recovering', 'Ready');
  expect(statesOf(await probe.read())).toEqual(['Ready', 'Backoff', 'Recovering']);
  producer.comesTo('Backoff');
  expect(statesOf(await probe.read())).toEqual(['Ready', 'Backoff']);
  expect(statesOf(await probe.read())).toEqual(['Backoff']);
});

test('every state that a sample can be taken in is told', () => {
  const names = new Set(Object.keys(LEGAL_STEPS).map((step) => step.split('/')[0] ?? ''));
  names.delete('Stopped');
  for (const name of names) expect(CATALOGUE['holdfast.producer.state'].meaning).toContain(name);
});

test('the numbers are of the tick, however long the other probes take', async () => {
  const clock = new FakeClock();
  const producer = new FakeProducer();
  const payloads: Uint8Array[] = [];
  const slow = {
    name: 'slow',
    periodMs: 0,
    read: () => new Promise<Metric[]>((resolve) => clock.after(500, () => resolve([]))),
  };
  new Sampler({
    intervalMs: 1_000,
    resource: { 'host.name': 'h', 'os.type': 'linux', 'os.version': '1', container: false },
    probes: [slow, new ProducerProbe(producer, 'host')],
    clock,
    onSample: (payload) => payloads.push(payload),
    onEvent: () => {},
  });
  await clock.advanceTo(100);
  producer.queue = { ...QUEUE, frames: 9 };
  producer.comesTo('Backoff');
  await clock.advanceTo(1_600);
  const samples = payloads.map((payload) => JSON.parse(Buffer.from(payload).toString()).metrics);
  const frames = samples.map((metrics) => metrics[0].value);
  expect(frames).toEqual([7, 9]);
  expect(samples.map(statesOf)).toEqual([['Recovering'], ['Backoff', 'Recovering']]);
});

test('a real producer whose server is away is told with what waits in its queue', async () => {
  const queuePath = mkdtempSync(join(tmpdir(), 'holdfast-probe-'));
  onTestFinished(() => rmSync(queuePath, { recursive: true }));
  const server = { host: '127.0.0.1', port: 1 };
  const producer = new Producer({ server, token: '0123456789abcdef', queuePath });
  onTestFinished(async () => {
    await producer.close({ deadlineMs: 0 });
  });
  const probe = new ProducerProbe(producer, 'host');
  await producer.opened();
  await producer.send(Buffer.from('{}'));
  const seen = new Set<string>();
  await expect
    .poll(
      async () => {
        const metrics = await probe.read();
        for (const state of statesOf(metrics)) seen.add(state);
        expect(metrics[0]).toMatchObject({ name: 'holdfast.queue.frames', value: 1 });
        expect(metrics[1]?.value).toBeGreaterThan(0);
        return [...seen].sort();
      },
      { timeout: 10_000, interval: 5 },
    )
    .toEqual(['Backoff', 'Recovering']);
});
