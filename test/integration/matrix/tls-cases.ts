/**
 * The matrix goes on over TLS: the same images, both ends with certificates made for the case, and
 * Toxiproxy between them as before. What may differ over TLS is how a link begins, how its end shows,
 * and what is buffered; so these are the cases that begin, end and stall it.
 */
import { expect } from 'vitest';
import { HEALS, lasting, type MatrixCase, midDrain, suffer, thin } from './cases.ts';

export const TLS_CASES: readonly MatrixCase[] = [
  {
    name: '19-tls-cut-twice',
    what: 'over TLS: a link cut for 10 s, and cut again while the backlog drains',
    secured: true,
    asks: HEALS,
    method: (random) => [
      thin(
        suffer('cut', {}, { until: lasting(10, 1_500) }),
        midDrain(random),
        suffer('cut', {}, { name: 'cut_again', until: lasting(3) }),
      ),
    ],
    also: (_seen, log) => secured(log('server'), log('source')),
  },
  {
    name: '20-tls-half-open',
    what: 'over TLS: a link that swallows everything both ways and stays open is noticed',
    secured: true,
    asks: { ...HEALS, detect_ms_max: 5_000 },
    method: () => [suffer('half_open', {}, { until: lasting(10) })],
    also: (_seen, log) => secured(log('server'), log('source')),
  },
];

/** It was TLS: the server listens for nothing else, and the collector had no reason to warn. */
export function secured(server: string, source: string): void {
  expect(server).toContain('"event":"certificate_loaded"');
  expect(server).not.toContain('"reason":"client_certificate"');
  expect(source).not.toContain('"event":"link_unprotected"');
}
