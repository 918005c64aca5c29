/** What of the catalogue on the wire is not a single case: masses, and what is tested elsewhere. */
import type { ElsewhereCase } from './case.ts';

interface MassCase {
  readonly id: string;
  readonly name: string;
  readonly expected: string;
}

/** Played by `bounded.test.ts`. */
export const WIRE_MASSES: readonly MassCase[] = [
  {
    id: 'T03',
    name: '10,000 connections that come and go, by a right end or a reset',
    expected: 'as many handles afterwards as before',
  },
  {
    id: 'T21',
    name: '400 bombs of 100 MiB, a hundred collectors at a time',
    expected: 'each gets BYE{protocol_error}; memory stays where it was after the first ones',
  },
  {
    id: 'T33',
    name: 'collectors that ask by PING and never read',
    expected: 'cut off (overloaded) at 1 MiB of answers that wait; memory stays where it was',
  },
  {
    id: 'T35',
    name: '5,000 silent connections',
    expected:
      'past the cap the oldest that has not proven itself goes for each that comes; a collector that comes then is let in',
  },
];

export const WIRE_ELSEWHERE: readonly ElsewhereCase[] = [
  {
    id: 'T26',
    name: 'the token of one collector under the id of another',
    why: 'test/unit/server/tokens.test.ts, against a server with a file of tokens',
  },
  {
    id: 'T31',
    name: 'NaN, Infinity, −0, 1e308, empty and long names',
    why: 'a payload is opaque bytes; among those of T20',
  },
  {
    id: 'T32',
    name: 'SQL, markup, escape sequences and line breaks in texts',
    why: 'among the payloads of T20; the log is JSON, which has no raw control characters',
  },
  {
    id: 'T38',
    name: 'a million random and spoilt sessions',
    why: 'the fuzzer, below',
  },
];
