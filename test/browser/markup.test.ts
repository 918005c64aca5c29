/**
 * What comes from outside is text and never markup: metric names, units and attributes of a payload,
 * the address, and whatever a server could say.
 */
import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { deliver } from './source.ts';
import { useStage } from './stage.ts';

const stage = useStage();

/** As an element, as the end of an attribute, as the end of a script. */
const ATTACKS = [
  '<img src=/x onerror="globalThis.pwned=1">',
  '"><svg onload="globalThis.pwned=1">',
  "</script><script>globalThis.pwned=1</script>'",
] as const;
const [IMAGE, VECTOR, SCRIPT] = ATTACKS;

async function expectTextOf(page: Page, text: string): Promise<void> {
  await page.getByText(text).first().waitFor();
  expect(await page.evaluate('globalThis.pwned')).toBeUndefined();
  expect(await page.locator('img, script:not([src]), svg[onload], [onerror]').count()).toBe(0);
}

test('keys, names, units and attributes of a payload', async () => {
  const now = Date.now() * 1_000;
  const metrics = [
    { name: IMAGE, unit: VECTOR, value: 1, attributes: { [SCRIPT]: VECTOR } },
    { name: `${IMAGE} 2`, unit: SCRIPT, value: 2, attributes: { [VECTOR]: IMAGE } },
  ];
  await deliver(
    stage,
    'attacker',
    [3, 2, 1].map((ago) => ({
      capturedAt: now - ago * 1_000_000,
      payload: { [SCRIPT]: ago, nested: { [VECTOR]: ago }, metrics },
    })),
  );
  const page = await stage.openPage({ at: '/?collector=attacker' });
  await expectTextOf(page, IMAGE);
  await expectTextOf(page, SCRIPT);
  await expectTextOf(page, `nested.${VECTOR}`);
});

// No id of this kind gets into a store, and the server refuses to be asked about one: it is not.
test.each(ATTACKS)('%s as a collector in the address', async (attack) => {
  const at = `/?collector=${encodeURIComponent(attack)}`;
  const page = await stage.openPage({ at });
  await expectTextOf(page, attack);
});

test.each(ATTACKS)('%s as whatever the server says', async (attack) => {
  const page = await stage.openPage({
    // To be asked about a collector that is named so.
    expected: /status of 400/,
    before: (page) =>
      page.route(/\/api\/v1\/(collectors|audit|gaps|lab)/, async (route) => {
        const response = await route.fetch();
        await route.fulfill({ response, body: replaced(await response.text(), attack) });
      }),
  });
  await expectTextOf(page, attack);
});

/** Every text but times and what the page compares. */
function replaced(json: string, text: string): string {
  const kept = new Set(['state', 'kind']);
  return JSON.stringify(JSON.parse(json), (key, value) =>
    typeof value !== 'string' || kept.has(key) || /^\d{4}-\d\d-/.test(value) ? value : text,
  );
}
