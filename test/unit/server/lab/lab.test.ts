/** The server's part of the lab: looks, orders, and what a restart remembers. */
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { readSettings } from '#protocol/settings.ts';
import { SERVER_SETTINGS } from '#server/config.ts';
import { OrderFailed } from '#server/lab/lab.ts';
import { DEAF, HandClock, labFolder, startLab, stopLabs } from './lab-rig.ts';

afterEach(stopLabs);

const CUT = { kind: 'cut', toxics: [] } as const;
const pathIn = (directory: string) => join(directory, 'lab-link.json');

describe('looking', () => {
  test('what others do to the link is seen within a second, told, and noted', async () => {
    const { lab, link, clock, seen, logged } = startLab();
    expect(lab.link.state).toBe('unknown');
    await clock.pass(0);
    expect(lab.link).toMatchObject({ state: 'whole', error: null });
    link.state = { kind: 'slow', toxics: ['+250 ms to the server'] };
    await clock.pass(1_000);
    const slow = { state: 'slow', details: ['+250 ms to the server'], error: null };
    expect(lab.link).toEqual({ ...slow, since: clock.wallTime() });
    await clock.pass(5_000);
    link.state = { kind: 'whole', toxics: [] };
    await clock.pass(1_000);
    expect(lab.faults).toEqual([
      { from: 1_001_000_000, to: 1_007_000_000, state: 'slow', details: slow.details },
    ]);
    expect(seen.map((event) => event.type === 'link' && event.link.state)).toEqual([
      'whole',
      'slow',
      'whole',
    ]);
    expect(logged.map(({ msg }) => msg)).toEqual([
      'the link is whole',
      'the link is slow (+250 ms to the server)',
      'the link is whole',
    ]);
    expect(link.reads).toBe(8);
  });

  test('a Toxiproxy that refuses is unknown with the reason, told once, until it answers', async () => {
    const { lab, link, clock, seen, logged } = startLab();
    await clock.pass(0);
    link.failure = DEAF;
    await clock.pass(10_000);
    const error =
      'the link: Toxiproxy does not answer at http://toxiproxy:8474; connection refused';
    expect(lab.link).toEqual({ state: 'unknown', details: [], error, since: 1_001_000_000 });
    expect(seen).toHaveLength(2);
    expect(logged.filter(({ event }) => event === 'link_unknown')).toHaveLength(1);
    link.failure = undefined;
    await clock.pass(1_000);
    expect(lab.link.state).toBe('whole');
    expect(lab.faults).toEqual([
      { from: 1_001_000_000, to: 1_011_000_000, state: 'unknown', details: [] },
    ]);
  });

  test('one that hangs is asked once, and nobody waits for it to learn that', async () => {
    const { lab, link, clock } = startLab();
    await clock.pass(0);
    const { promise, resolve } = Promise.withResolvers<void>();
    link.hanging = promise;
    await clock.pass(60_000);
    expect(lab.link).toMatchObject({ state: 'unknown', since: 1_001_000_000 });
    expect(lab.link.error).toContain('not answered for 2 s');
    expect(link.readsAtOnce).toBe(1);
    expect(link.reads).toBe(2);
    resolve();
    await clock.pass(0);
    expect(lab.link).toMatchObject({ state: 'whole', since: 1_060_000_000 });
  });

  test('one connection that broke is no fault', async () => {
    const { lab, link, clock } = startLab();
    await clock.pass(0);
    const { read } = link;
    link.read = () => {
      link.read = read;
      return Promise.reject(new Error('other side closed'));
    };
    await clock.pass(1_000);
    expect(lab.link.state).toBe('whole');
    expect(lab.faults).toEqual([]);
  });

  test('after its end it looks no more', async () => {
    const { lab, link, clock } = startLab();
    await clock.pass(0);
    await lab.close();
    await clock.pass(10_000);
    expect(link.reads).toBe(1);
  });
});

describe('orders', () => {
  test('take effect before they are answered, and are noted as faults', async () => {
    const { lab, clock, seen } = startLab();
    await clock.pass(0);
    expect(await lab.order({ action: 'cut' })).toMatchObject({ state: 'cut', error: null });
    clock.ms += 10;
    const slow = await lab.order({ action: 'slow', latency_ms: 5, rate_kbps: 7 });
    expect(slow).toMatchObject({ state: 'slow', details: ['+5 ms', '7 kB/s'] });
    clock.ms += 10;
    expect(await lab.order({ action: 'restore' })).toMatchObject({ state: 'whole' });
    expect(lab.faults).toMatchObject([
      { state: 'cut', from: 1_000_000_000, to: 1_000_010_000 },
      { state: 'slow', from: 1_000_010_000, to: 1_000_020_000 },
    ]);
    expect(seen).toHaveLength(4);
  });

  test('nothing half done is seen while one is under way', async () => {
    const { lab, link, clock, seen } = startLab();
    await clock.pass(0);
    const { promise, resolve } = Promise.withResolvers<void>();
    link.slow = async () => {
      link.state = { kind: 'slow', toxics: ['the first of two'] };
      await promise;
      link.state = { kind: 'slow', toxics: ['the first of two', 'the second'] };
      return link.state;
    };
    const ordered = lab.order({ action: 'slow', latency_ms: 1, rate_kbps: 1 });
    await clock.pass(5_000);
    expect(lab.link.state).toBe('whole');
    resolve();
    expect((await ordered).details).toHaveLength(2);
    expect(lab.faults).toHaveLength(1);
    expect(seen).toHaveLength(2);
    await clock.pass(1_000);
    expect(link.reads).toBeGreaterThan(2);
  });

  test('one that fails says why, and what came of it is seen', async () => {
    const { lab, link, clock } = startLab();
    await clock.pass(0);
    link.slow = async () => {
      link.state = { kind: 'slow', toxics: ['the first of two'] };
      throw DEAF;
    };
    const order = lab.order({ action: 'slow', latency_ms: 1, rate_kbps: 1 });
    await expect(order).rejects.toThrow('does not answer');
    await expect(order).rejects.toBeInstanceOf(OrderFailed);
    await clock.pass(0);
    expect(lab.link).toMatchObject({ state: 'slow', details: ['the first of two'] });
  });

  test('one whose effect nobody can see has failed', async () => {
    const { lab, link, clock } = startLab();
    await clock.pass(0);
    link.cut = async () => {
      link.failure = DEAF;
    };
    await expect(lab.order({ action: 'cut' })).rejects.toBeInstanceOf(OrderFailed);
  });
});

describe('a restart', () => {
  test('remembers the faults, and goes on with the one that goes on', async () => {
    const directory = labFolder();
    const clock = new HandClock();
    const first = startLab({ directory, clock });
    await clock.pass(0);
    await first.lab.order({ action: 'cut' });
    await clock.pass(500);
    await first.lab.order({ action: 'restore' });
    await clock.pass(500);
    await first.lab.order({ action: 'cut' });
    await first.lab.close();
    const second = startLab({ directory, clock });
    second.link.state = { ...CUT, toxics: [] };
    await clock.pass(2_000);
    expect(second.lab.faults).toEqual(first.lab.faults);
    expect(second.lab.link.since).toBe(first.lab.link.since);
    expect(second.lab.faults).toHaveLength(2);
  });

  test('a fault that ended meanwhile is as long as it was seen', async () => {
    const directory = labFolder();
    const clock = new HandClock();
    const first = startLab({ directory, clock });
    first.link.state = { ...CUT, toxics: [] };
    await clock.pass(7_000);
    // The file is touched behind the looks; its writer is done when it is closed.
    await first.lab.close();
    await clock.pass(3_600_000);
    const second = startLab({ directory, clock });
    await clock.pass(0);
    expect(second.lab.faults).toEqual([
      { from: 1_000_000_000, to: 1_007_000_000, state: 'cut', details: [] },
    ]);
  });

  test.each([
    ['torn', '{"version":1,"faults":[{"from":1'],
    ['empty', ''],
    ['of another version', '{"version":2,"faults":[]}'],
    ['something else', '[]'],
    [
      'in no order',
      '{"version":1,"faults":[{"from":1,"to":null,"state":"cut","details":[]},{"from":2,"to":3,"state":"cut","details":[]}]}',
    ],
  ])('a file that is %s is told, and begun anew', async (_what, text) => {
    const directory = labFolder();
    writeFileSync(pathIn(directory), text);
    const { lab, clock, logged } = startLab({ directory });
    await clock.pass(0);
    expect(lab.faults).toEqual([]);
    expect(logged).toMatchObject([{ event: 'lab_history_lost' }, { event: 'link_changed' }]);
    await lab.order({ action: 'cut' });
    await lab.close();
    expect(JSON.parse(readFileSync(pathIn(directory), 'utf8')).faults).toHaveLength(1);
    expect(statSync(pathIn(directory)).mode & 0o777).toBe(0o600);
    expect(existsSync(`${pathIn(directory)}.new`)).toBe(false);
  });

  test('a folder that can not be written to costs the memory alone, and is told once', async () => {
    const { lab, clock, logged } = startLab({ directory: '/proc/nowhere' });
    await clock.pass(0);
    for (const action of ['cut', 'restore', 'cut'] as const) await lab.order({ action });
    await clock.pass(3_000);
    await lab.close();
    expect(lab.faults).toHaveLength(2);
    expect(logged.filter(({ event }) => event === 'lab_history_not_kept')).toHaveLength(1);
  });
});

describe('the settings', () => {
  const read = (environment: Record<string, string>) =>
    readSettings(SERVER_SETTINGS, environment, () => '');

  test('are as they are used, and there is no lab without them', () => {
    expect(read({ HOLDFAST_LAB_TOXIPROXY: 'http://toxiproxy:8474/' }).labToxiproxy).toBe(
      'http://toxiproxy:8474',
    );
    expect(read({}).labToxiproxy).toBeUndefined();
  });

  test.each([
    ['HOLDFAST_LAB_TOXIPROXY', 'toxiproxy:8474'],
    ['HOLDFAST_LAB_TOXIPROXY', 'http://toxiproxy:8474/proxies'],
    ['HOLDFAST_LAB_LINK_EXIT', 'server'],
    ['HOLDFAST_LAB_COLLECTOR_PAGE', 'javascript:alert(1)'],
  ])('%s can not be %s', (name, value) => {
    expect(() => read({ [name]: value })).toThrow(`${name} must be`);
  });
});
