/**
 * The house rules that a machine can hold: which room imports which, who owns what is outside, and
 * that every file says what it is.
 */
import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const ROOMS = [
  'protocol',
  'collector',
  'server',
  'dashboard',
  'lab',
  'chaos',
  'bench',
  'pages',
  'examples',
  'test',
] as const;
type Room = (typeof ROOMS)[number];

/** The rooms that each room may import, itself aside. */
const MAY_IMPORT: Readonly<Record<Room, readonly Room[]>> = {
  protocol: [],
  collector: ['protocol'],
  server: ['protocol'],
  // Runs in browsers and knows the server by its API alone; none but tests import it.
  dashboard: [],
  lab: ['protocol'],
  chaos: ['lab', 'pages'],
  bench: ['protocol', 'collector', 'lab', 'pages'],
  pages: [],
  examples: ['chaos'],
  test: ['protocol', 'collector', 'server', 'dashboard', 'lab', 'chaos', 'bench', 'pages'],
};

/**
 * Parts of a room with a rule of their own, as the start of what they may import. The load source
 * is a user of the producer; the judge and its evidence share nothing with what is judged.
 */
const PARTS: readonly { part: RegExp; may: RegExp }[] = [
  {
    part: /^chaos\/source\//,
    may: /^(#protocol\/settings|#collector\/(producer\/producer|config|tls|status\/)|\.\.\/(ledger\/|random\.ts)|\.\/)/,
  },
  // A wire of its own kind: of ours it knows the envelope's head, and how settings are read.
  {
    part: /^chaos\/mangler\//,
    may: /^(#protocol\/(settings|envelope|limits|messages)\.ts|#collector\/producer\/address\.ts|\.\.\/random\.ts|\.\/)/,
  },
  // The dashboard cuts the link, and Toxiproxy's API has one owner: this part goes through it.
  {
    part: /^server\/lab\//,
    may: /^(#lab\/(link|toxics|errors)\.ts|#protocol\/|#server\/|\.\/)/,
  },
  { part: /^chaos\/oracle\//, may: /^(\.\.\/ledger\/|\.\/)/ },
  { part: /^chaos\/ledger\//, may: /^\.\// },
  // Users of the library: what they import of ours is the ledger that they are judged by.
  { part: /^examples\//, may: /^(#chaos\/ledger\/|\.\.?\/)/ },
  {
    part: /^bench\//,
    may: /^(#protocol\/|#collector\/producer\/(producer|sender|link|queue\/queue)\.ts|#collector\/sampler\/sample\.ts|#lab\/|#pages\/|\.\.?\/)/,
  },
];

/** What is outside, by how it shows in code, and the files that may touch it. */
const OWNERS: readonly { what: string; shows: RegExp; owners: RegExp }[] = [
  {
    what: 'sockets',
    shows: /from 'node:(net|tls)'/,
    owners:
      /^(collector\/producer\/link|server\/(ingest|access\/tls)|bench\/(wire|peers)\/|chaos\/(mangler\/relay|faults\/crowd)|lab\/|test\/)/,
  },
  {
    what: 'SQLite',
    shows: /from 'node:sqlite'/,
    owners:
      /^(collector\/producer\/queue\/lock|lab\/lock|server\/(store|series)\/|bench\/(limits|stored\/)|test\/)/,
  },
  {
    what: 'the environment',
    shows: /process\.env/,
    owners:
      /^((collector|server|bench|chaos)\/main|(chaos|bench)\/[a-z]+\/main|dashboard\/vite\.config|lab\/|examples\/|test\/)/,
  },
  {
    what: "the process's end",
    shows: /process\.(exit\(|exitCode|on\()/,
    owners:
      /^((collector|server|bench|chaos)\/main|bench\/child|(chaos|bench)\/[a-z]+\/main|lab\/|examples\/|test\/)/,
  },
  {
    what: 'randomness and clocks in sans-IO code',
    shows: /Math\.random|Date\.now|performance\.|setTimeout|setInterval/,
    owners:
      /^(?!protocol\/|collector\/producer\/(sender|pulse|delivery|window|backoff)|server\/session)/,
  },
];

interface Source {
  readonly path: string;
  readonly room: Room;
  readonly text: string;
}

const sources: Source[] = ROOMS.flatMap((room) =>
  globSync(`${room}/**/*.ts`, { cwd: ROOT }).map((path) => ({
    path,
    room,
    text: readFileSync(`${ROOT}${path}`, 'utf8'),
  })),
);

test('there is something to look at', () => {
  expect(sources.length).toBeGreaterThan(30);
});

describe.each(sources)('$path', ({ path, room, text }) => {
  test('opens by saying what it is', () => {
    expect(text.replace(/^#!.*\n/, '')).toMatch(/^\/\*\*\n? \*|^\/\*\* /);
  });

  test('imports only what its room may', () => {
    const special = PARTS.find(({ part }) => part.test(path));
    if (special !== undefined) {
      const ours = [...text.matchAll(/(?:from |import\()'([#.][^']+)'/g)].map(
        ([, from]) => from ?? '',
      );
      expect(ours.filter((from) => !special.may.test(from))).toEqual([]);
      return;
    }
    const imported = [...text.matchAll(/(?:from |import\()'#([a-z]+)\//g)].map(([, name]) => name);
    const foreign = imported.filter((name) => name !== room);
    expect(foreign.filter((name) => !MAY_IMPORT[room].includes(name as Room))).toEqual([]);
    const climbing = [...text.matchAll(/from '((?:\.\.\/)+)([a-z]+)\//g)].filter(
      ([, up, name]) =>
        ROOMS.includes(name as Room) && (up ?? '').length / 3 >= path.split('/').length - 1,
    );
    expect(climbing.map(([found]) => found)).toEqual([]);
  });

  test('touches nothing outside that another file owns', () => {
    const taken = OWNERS.filter(({ shows, owners }) => shows.test(text) && !owners.test(path));
    expect(taken.map(({ what }) => what)).toEqual([]);
  });
});
