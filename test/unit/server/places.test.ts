/** Who may be connected, and who goes where there are too many. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Places, type PlacesOptions, spareOf } from '#server/ingest/places.ts';
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

/** What a test knows of who is connected. */
class Crowd {
  readonly places: Places<number>;
  readonly here = new Map<number, { readonly address: string; proven: boolean }>();
  #arrived = 0;

  constructor(options: PlacesOptions) {
    this.places = new Places(options);
  }

  perform(what: string, which: number, address: string): void {
    if (what === 'arrive') return this.#arrive(address);
    const [one, known] = [...this.here][which % Math.max(1, this.here.size)] ?? [];
    if (one === undefined || known === undefined) return;
    if (what === 'leave') {
      this.places.leave(one);
      this.here.delete(one);
    } else if (!known.proven) {
      known.proven = this.places.prove(one);
    }
  }

  #arrive(address: string): void {
    this.#arrived += 1;
    for (const gone of this.places.arrive(this.#arrived, address)) {
      expect(this.here.get(gone)?.proven).toBe(false);
      this.here.delete(gone);
    }
    this.here.set(this.#arrived, { address, proven: false });
  }

  proven(from?: string): number {
    const all = [...this.here.values()].filter(({ proven }) => proven);
    return all.filter(({ address }) => from === undefined || address === from).length;
  }
}

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
      const crowd = new Crowd(options);
      const { connectionsMax, perAddressMax } = options;
      for (const { what, which, address } of steps) {
        crowd.perform(what, which, address);
        expect(crowd.proven()).toBeLessThanOrEqual(connectionsMax);
        expect(crowd.proven(address)).toBeLessThanOrEqual(perAddressMax);
        expect(crowd.here.size).toBeLessThanOrEqual(connectionsMax + spareOf(connectionsMax));
      }
    }),
    seeded(),
  );
});
