/**
 * An outage as a person sees it on the page: the link is cut with its button, the collector falls
 * silent while its own page shows the queue grow, the link comes back, and the gap fills in with the
 * times of capture. And a server that goes away under the page, and comes back.
 */
import { afterEach, expect, test } from 'vitest';
import { until } from '../ground/until.ts';
import { act, chart, countOf, fate, lanes, liveness, pointsOf, story } from './shown.ts';
import { picture, useStage } from './stage.ts';

const stage = useStage();

/** So many that the first of them comes later than the server takes for in time, 10 s. */
const WAITING_FRAMES = 13;

afterEach(() => stage.link.restore());

test('what is captured shows up by itself', async () => {
  const page = await stage.openPage();
  await liveness(page, /^Live$/).waitFor();
  await story(page, /All is well/).waitFor();
  const cpu = chart(page, 'CPU');
  await cpu.waitFor();
  const [stored, { shown }] = [await countOf(page, 'stored'), await pointsOf(cpu)];
  await until('more is stored, and drawn', async () => {
    const now = await pointsOf(cpu);
    return (await countOf(page, 'stored')) > stored + 2 && now.shown > shown + 2;
  });
  for (const name of ['declared', 'rejected', 'missing'] as const) {
    expect(await countOf(page, name), name).toBe(0);
  }
  await lanes(page, /Gaps: none/).waitFor();
});

test('a past time is not asked for again because of what comes in now', async () => {
  const asked: string[] = [];
  const [from, to] = [20, 10].map((ago) => new Date(Date.now() - ago * 60_000).toISOString());
  const page = await stage.openPage({
    at: `/?from=${from}&to=${to}`,
    before: async (page) => {
      page.on('request', (request) => {
        if (new URL(request.url()).pathname === '/api/v1/series') asked.push(request.url());
      });
    },
  });
  await fate(page, 'stored', /[1-9][\d,]*/).waitFor();
  const stored = await countOf(page, 'stored');
  await until('more comes in', async () => (await countOf(page, 'stored')) > stored + 12);
  // A second time where the first came while the server was still charting.
  expect(asked.length).toBeLessThanOrEqual(2);
});

test('a cut is seen, and seen to heal', async () => {
  const page = await stage.openPage();
  await story(page, /All is well/).waitFor();
  await act(page, 'Cut').click();
  await page.getByRole('img', { name: 'collector, link cut, server' }).waitFor();
  await story(page, /Silent since \d/).waitFor();
  await story(page, /Last known: frame [\d,]+, captured/).waitFor();
  await lanes(page, /Link: .*cut/).waitFor();

  const own = page.getByRole('link', { name: /own page/ });
  expect(new URL((await own.getAttribute('href')) ?? '').href).toBe(stage.collectorUrl);
  const collector = await stage.openPage({ at: stage.collectorUrl });
  await collector
    .getByRole('status')
    .filter({ hasText: /Backoff|Recovering/ })
    .waitFor();
  await collector.getByText(/after \d+ failures?/).waitFor();
  const depth = collector.getByRole('img', { name: /^Depth of the queue/ });
  const waiting = async () => {
    const label = (await depth.getAttribute('aria-label')) ?? '';
    return Number(/now ([\d,]+)/.exec(label)?.[1]?.replaceAll(',', ''));
  };
  await until('its own page shows the queue grow', async () => (await waiting()) >= 2);
  await until('much waits', async () => (await waiting()) >= WAITING_FRAMES);
  await picture('cut', page);
  await picture('cut-collector', collector);

  // Over a link that lets little through the backlog can be watched.
  await page.getByRole('combobox', { name: 'How slow' }).selectOption({ index: 2 });
  await act(page, 'Slow').click();
  await page.getByRole('img', { name: 'collector, link slow, server' }).waitFor();
  await fate(page, 'pending', /[1-9][\d,]*/).waitFor();
  await story(page, /Catching up: [\d,]+ frames? pending/).waitFor();
  await picture('catching-up', page);

  await act(page, 'Restore').click();
  await page.getByRole('img', { name: 'collector, link whole, server' }).waitFor();
  await fate(page, 'pending', /0/).waitFor();
  await story(page, /All is well/).waitFor();
  await lanes(page, /Late: .*arrived late/).waitFor();
  const cpu = chart(page, 'CPU');
  await until('the gap is filled in', async () => (await pointsOf(cpu)).late >= 3);
  await lanes(page, /Gaps: none/).waitFor();
  for (const name of ['declared', 'rejected', 'missing'] as const) {
    expect(await countOf(page, name), name).toBe(0);
  }
  const audit = await stage.pipeline.audit();
  const clean = { declared: 0, rejected: 0, missing: 0 };
  expect(audit).toMatchObject({ ok: true, value: [{ totals: clean }] });
  await picture('healed', page);
});

test('a number of the audit opens the ranges behind it', async () => {
  const page = await stage.openPage();
  await fate(page, 'stored', /[1-9][\d,]*/).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('heading', { name: 'Stored frames' }).waitFor();
  await dialog.getByRole('row').nth(1).waitFor();
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'hidden' });
});

test('a page whose server went away says so, and catches up when it is back', async () => {
  const page = await stage.openPage({ expected: /Failed to load resource|net::ERR_/ });
  await liveness(page, /^Live$/).waitFor();
  const stored = await countOf(page, 'stored');
  const server = stage.ground.service('server');
  await server.stop();
  await liveness(page, /Not live since \d/).waitFor();
  await story(page, /The server does not answer/).waitFor();
  await picture('server-away', page);
  await server.start();
  await liveness(page, /^Live$/).waitFor();
  await until('what was captured meanwhile is there', async () => {
    return (await countOf(page, 'stored')) > stored + 3;
  });
  await story(page, /All is well/).waitFor();
  await fate(page, 'missing', /0/).waitFor();
});

test('a server that stands still is noticed, and nothing is said to be as it was', async () => {
  const page = await stage.openPage({ expected: /Failed to load resource|net::ERR_/ });
  await story(page, /All is well/).waitFor();
  await stage.ground.service('server').freeze();
  await liveness(page, /Not live since .*the server does not answer/).waitFor();
  await story(page, /The server does not answer\./).waitFor();
  await page.getByRole('img', { name: 'collector, link not known, server' }).waitFor();
  await page
    .getByText(/^last known: connected$/)
    .first()
    .waitFor();
  expect(await page.getByText(/^connected/).count()).toBe(0);
  await picture('server-frozen', page);
  await stage.ground.service('server').thaw();
  await liveness(page, /^Live$/).waitFor();
  await story(page, /All is well/).waitFor();
});
