/** Hostile input on the wire, against a real server: the cases of `wire-cases.ts`, one by one. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { judge } from './judge.ts';
import { Stage } from './stage.ts';
import { WIRE_CASES } from './wire-cases.ts';

/** Rounds beyond the first, to see whether anything stays behind. */
const ROUNDS = 4;
/** What a garbage collector may leave at one time and not at another. */
const GROWTH_FACTOR = 1.25;

const LIGHT_CASES = WIRE_CASES.filter(({ isHeavy }) => isHeavy !== true);

let stage: Stage;

beforeAll(async () => {
  stage = await Stage.open();
});

afterAll(() => stage.close());

test.each(WIRE_CASES.map((one, index) => ({ ...one, index })))('$id $name', (one) =>
  judge(stage, one, `t${one.index}`),
);

test('nothing is stored but what was sent in right messages', () => stage.mustHoldWhatWasSent());

test('all of it again and again leaves neither handles nor memory behind', async () => {
  const { server } = stage;
  server.dropPeers();
  await stage.proveHealthy();
  const handles = server.handles;
  const rssBytes: number[] = [];
  for (let round = 1; round <= ROUNDS; round += 1) {
    for (const [index, { play }] of LIGHT_CASES.entries()) {
      await play(stage, `t${index}-${round}`);
      server.dropPeers();
    }
    await stage.proveHealthy();
    rssBytes.push(server.rssBytes);
  }
  await stage.handlesBackTo(handles);
  const [before, after] = [rssBytes[ROUNDS / 2 - 1] ?? 0, rssBytes.at(-1) ?? 0];
  expect(after / before, rssBytes.join(', ')).toBeLessThan(GROWTH_FACTOR);
  await stage.mustHoldWhatWasSent();
});
