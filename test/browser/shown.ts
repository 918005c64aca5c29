/** What the page shows, found as a person or a screen reader finds it: by roles and by names. */
import type { Locator, Page } from 'playwright-core';

type Fate = 'stored' | 'declared' | 'rejected' | 'pruned' | 'pending' | 'missing';

/** `pattern`: of what it says. */
export const story = (page: Page, pattern: RegExp): Locator =>
  page.getByRole('region', { name: 'What is going on' }).getByText(pattern);

/** Whether the page is live, in its head. */
export const liveness = (page: Page, pattern: RegExp): Locator =>
  page.getByRole('banner').getByRole('status').filter({ hasText: pattern });

/** The audit's button; `count` as the page writes it, such as `1,234`. */
export const fate = (page: Page, name: Fate, count: RegExp = /[\d,]+/): Locator =>
  page.getByRole('button', { name: new RegExp(`^${name}\\W+${count.source}(?![\\d,]*\\d)`) });

export async function countOf(page: Page, name: Fate): Promise<number> {
  const [text = ''] = await fate(page, name).allInnerTexts();
  return Number((/[\d,]+/.exec(text)?.[0] ?? 'none').replaceAll(',', ''));
}

/** A chart, once it has drawn points; its name tells how many, and how many of them came late. */
export const chart = (page: Page, title: string): Locator =>
  page.getByRole('img', { name: new RegExp(`^${title} at .*[1-9][\\d,]* points shown`) });

export async function pointsOf(drawn: Locator): Promise<{ shown: number; late: number }> {
  const label = (await drawn.getAttribute('aria-label')) ?? '';
  const [, shown, late] = /(\d+) points shown, (\d+) of them arrived late/.exec(label) ?? [];
  return { shown: Number(shown), late: Number(late) };
}

/** What lies over the charts: the link's faults, the producer's state, gaps, late frames. */
export const lanes = (page: Page, pattern: RegExp): Locator =>
  page.getByRole('img', { name: pattern });

export const act = (page: Page, name: 'Cut' | 'Slow' | 'Restore'): Locator =>
  page.getByRole('region', { name: 'The link' }).getByRole('button', { name, exact: true });
