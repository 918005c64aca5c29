/**
 * The matrix goes on over TLS: the same images, both ends with certificates made for the case, and
 * Toxiproxy between them as before. What may differ over TLS is how a link begins, how its end shows,
 * and what is buffered; so these are the cases that begin, end and stall it.
 */
import { expect } from 'vitest';
import { drainedBy, HEALS, lasting, type MatrixCase, THIN } from './cases.ts';
import { standstill } from './effects.ts';
import { cut, poison } from './faults.ts';

export const TLS_CASES: readonly MatrixCase[] = [
  {
    name: '19-tls-cut-twice',
    what: 'over TLS: a link cut for 10 s, and cut again while the backlog drains',
    secured: true,
    asks: HEALS,
    faults: ['cut', 'cut_again'],
    play: async (stage) => {
      await stage.stack.link.add(THIN);
      await stage.suffer(cut(), lasting(stage, 10_000, 1_500));
      await drainedBy(stage, 0.05 + 0.15 * stage.random());
      await stage.suffer(cut('cut_again'), async (began) => {
        await lasting(stage, 3_000)(began);
        await stage.stack.link.remove(THIN);
      });
    },
    also: (_seen, log) => secured(log('server'), log('collector')),
  },
  {
    name: '20-tls-half-open',
    what: 'over TLS: a link that swallows everything both ways and stays open is noticed',
    secured: true,
    asks: { ...HEALS, detect_ms_max: 5_000 },
    faults: ['half_open'],
    play: (stage) =>
      stage.suffer(
        poison(
          'half_open',
          (['upstream', 'downstream'] as const).map((stream) => ({
            type: 'timeout',
            stream,
            attributes: { timeout: 0 },
          })),
          { outage: true, effect: standstill },
        ),
        lasting(stage, 10_000),
      ),
    also: (_seen, log) => secured(log('server'), log('collector')),
  },
];

/** It was TLS: the server listens for nothing else, and the collector had no reason to warn. */
function secured(server: string, collector: string): void {
  expect(server).toContain('"event":"certificate_loaded"');
  expect(server).not.toContain('"reason":"client_certificate"');
  expect(collector).not.toContain('"event":"link_unprotected"');
}
