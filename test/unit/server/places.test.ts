/** Who may be connected, and who goes where there are too many. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Places, spareOf } from '#server/places.ts';
import { seeded } from '../seed.ts';

test('the one that has been here longest unproven goes first, and no proven one', () => {
  const places = new Places<string>({ connectionsMax: 3, perAddressMax: 3 });
  for (const name of ['a', 'b', 'c']) expect(places.arrive(name, 'x')).toEqual([]);
  expect(places.prove('a')).toBe(true);
  expect(places.arrive('d', 'x')).toEqual(['b']);
  expect(places.arrive('e', 'x')).toEqual(['c']);
});

test('where proven ones have all places a newcomer may still prove itself, and is told', () => {
  const places = new Places<string>({ connectionsMax: 2, perAddressMax: 9 });
  for (const name of ['a', 'b']) {
    places.arrive(name, 'x');
    expect(places.prove(name)).toBe(true);
  }
  expect(places.arrive('c', 'x')).toEqual([]);
  expect(places.prove('c')).toBe(false);
  expect(places.arrive('d', 'x')).toEqual(['c']);
  places.leave('a');
  expect(places.prove('d')).toBe(true);
});

test('one address has no more than its places, whatever is free elsewhere', () => {
  const places = new Places<string>({ connectionsMax: 100, perAddressMax: 2 });
  places.arrive('a', 'x');
  places.arrive('b', 'x');
  expect(places.arrive('c', 'x')).toEqual(['a']);
  expect(places.arrive('d', 'y')).toEqual([]);
  expect(places.prove('b')).toBe(true);
  expect(places.prove('c')).toBe(true);
  places.arrive('e', 'x');
  expect(places.prove('e')).toBe(false);
  expect(places.prove('d')).toBe(true);
});

test('leaving twice frees one place', () => {
  const places = new Places<string>({ connectionsMax: 1, perAddressMax: 1 });
  places.arrive('a', 'x');
  places.prove('a');
  places.leave('a');
  places.leave('a');
  places.arrive('b', 'x');
  places.arrive('c', 'y');
  expect(places.prove('c')).toBe(true);
  expect(places.prove('b')).toBe(false);
});

test('whatever comes and goes, the numbers hold', () => {
  const step = fc.record({
    what: fc.constantFrom('arrive', 'arrive', 'prove', 'leave'),
    which: fc.nat(),
    address: fc.constantFrom('x', 'y', 'z'),
  });
  const bounds = fc.record({
    connectionsMax: fc.integer({ min: 1, max: 40 }),
    perAddressMax: fc.integer({ min: 1, max: 40 }),
  });
  fc.assert(
    fc.property(bounds, fc.array(step, { maxLength: 300 }), (options, steps) => {
      const places = new Places<number>(options);
      const here = new Map<number, { address: string; proven: boolean }>();
      const count = (is: (one: { address: string; proven: boolean }) => boolean) =>
        [...here.values()].filter(is).length;
      for (const [number, { what, which, address }] of steps.entries()) {
        const one = [...here.keys()][which % Math.max(1, here.size)];
        if (what === 'arrive') {
          for (const gone of places.arrive(number, address)) {
            expect(here.get(gone)?.proven).toBe(false);
            here.delete(gone);
          }
          here.set(number, { address, proven: false });
        } else if (one !== undefined && what === 'leave') {
          places.leave(one);
          here.delete(one);
        } else if (one !== undefined && here.get(one)?.proven === false) {
          const known = here.get(one);
          if (places.prove(one) && known) known.proven = true;
        }
        const { connectionsMax, perAddressMax } = options;
        expect(count(({ proven }) => proven)).toBeLessThanOrEqual(connectionsMax);
        expect(here.size).toBeLessThanOrEqual(connectionsMax + spareOf(connectionsMax));
        const ofAddress = count((known) => known.address === address && known.proven);
        expect(ofAddress).toBeLessThanOrEqual(perAddressMax);
      }
    }),
    seeded(),
  );
});
