/** The two pages as they come up: what they show, to whom, and that they keep to themselves. */
import { expect, test } from 'vitest';
import { findings } from './axe.ts';
import { chart, lanes, liveness, story } from './shown.ts';
import { PHONE, picture, useStage } from './stage.ts';

const stage = useStage();

const PAGES = [
  ['dashboard', () => stage.url],
  ['collector', () => stage.collectorUrl],
] as const;

const LOOKS = [
  ['light', { colorScheme: 'light' }],
  ['dark', { colorScheme: 'dark' }],
  ['phone', { viewport: PHONE, isMobile: true, hasTouch: true }],
  ['phone-dark', { viewport: PHONE, isMobile: true, hasTouch: true, colorScheme: 'dark' }],
] as const;

test('the dashboard comes up live, with a chart of what the host does and its lanes', async () => {
  const page = await stage.openPage();
  await liveness(page, /^Live$/).waitFor();
  await story(page, /All is well/).waitFor();
  for (const title of ['CPU', 'Memory', 'Load', 'Delivery lag']) await chart(page, title).waitFor();
  await lanes(page, /Link: whole.* Producer: .*Ready.* Gaps: none/).waitFor();
});

for (const [name, url] of PAGES) {
  for (const [look, options] of LOOKS) {
    test(`the page of the ${name}, ${look}: keeps nobody out, and fits`, async () => {
      const page = await stage.openPage({ at: url(), ...options });
      await page
        .getByRole('status')
        .filter({ hasText: /^Live$/ })
        .waitFor();
      if (name === 'dashboard') await chart(page, 'CPU').waitFor();
      expect(await findings(page)).toEqual([]);
      const { scrollWidth, clientWidth } = await page
        .locator('html')
        .evaluate(({ scrollWidth, clientWidth }: Box) => ({ scrollWidth, clientWidth }));
      expect(scrollWidth, 'nothing is wider than the screen').toBe(clientWidth);
      await picture(`${name}-${look}`, page);
    });
  }
}

interface Box {
  readonly scrollWidth: number;
  readonly clientWidth: number;
}

test('it is sent compressed, its files for good, and nothing moves while it comes up', async () => {
  const headers: Record<string, string>[] = [];
  const page = await stage.openPage({
    before: async (page) => {
      await page.addInitScript(
        'globalThis.shifts = []; new PerformanceObserver((list) => { for (const { value } of list.getEntries()) shifts.push(value); }).observe({ type: "layout-shift" });',
      );
      page.on('response', (response) => {
        if (/\.(js|css)$/.test(response.url())) headers.push(response.headers());
      });
    },
  });
  await chart(page, 'CPU').waitFor();
  await lanes(page, /Producer: .*Ready/).waitFor();
  expect(headers.length).toBeGreaterThanOrEqual(2);
  for (const one of headers) {
    expect(one['content-encoding']).toBe('br');
    expect(one['cache-control']).toContain('immutable');
  }
  const shifts = (await page.evaluate('globalThis.shifts')) as number[];
  // What is held to be good; by the share of the screen that moves, and how far.
  expect(shifts.reduce((sum, one) => sum + one, 0)).toBeLessThan(0.1);
});

test('where there is no collector yet, it says what to do', async () => {
  const page = await stage.openPage({
    before: (page) =>
      page.route(/\/api\/v1\/collectors/, async (route) => {
        const response = await route.fetch();
        await route.fulfill({ response, json: { ...(await response.json()), collectors: [] } });
      }),
  });
  await page.getByRole('heading', { name: 'No collector has been heard yet' }).waitFor();
  await page.getByText('make up').waitFor();
  expect(await findings(page)).toEqual([]);
  await picture('empty', page);
});

test('what probes could not tell is said, and not that all is well', async () => {
  const error = { probe: 'cpu', error: 'deadline of 800 ms passed' };
  const page = await stage.openPage({
    before: (page) =>
      page.route(/\/api\/v1\/frames/, async (route) => {
        const response = await route.fetch();
        const answer: { frames: { payload: object }[] } = await response.json();
        const frames = answer.frames.map((frame) => ({
          ...frame,
          payload: { ...frame.payload, errors: [error] },
        }));
        await route.fulfill({ response, json: { ...answer, frames } });
      }),
  });
  await story(page, /Some values are missing from the samples/).waitFor();
  await story(page, /Probe cpu: deadline of 800 ms passed\./).waitFor();
  await picture('lacking', page);
});

test('a range that cannot be does not stay in the address', async () => {
  const page = await stage.openPage({ at: '/?range=banana' });
  await chart(page, 'CPU').waitFor();
  expect(new URL(page.url()).search).toBe('');
});
