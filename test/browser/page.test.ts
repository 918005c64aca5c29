/** The two pages as they come up: what they show, to whom, and that they keep to themselves. */
import { expect, test } from 'vitest';
import { findings } from './axe.ts';
import { PHONE, picture, useStage } from './stage.ts';

const stage = useStage();

const PAGES = [
  ['the dashboard', () => stage.url],
  ["the collector's page", () => stage.collectorUrl],
] as const;

const LOOKS = [
  ['light', { colorScheme: 'light' }],
  ['dark', { colorScheme: 'dark' }],
  ['phone', { viewport: PHONE, isMobile: true, hasTouch: true }],
] as const;

for (const [name, url] of PAGES) {
  for (const [look, options] of LOOKS) {
    if (look === 'dark' && name.includes('collector')) continue;
    test(`${name}, ${look}: keeps nobody out`, async () => {
      const page = await stage.openPage({ at: url(), ...options });
      await page.waitForFunction("document.title.includes('Holdfast')");
      expect(await findings(page)).toEqual([]);
      await picture(`${name.replaceAll(/\W+/g, '-')}-${look}`, page);
    });
  }
}
