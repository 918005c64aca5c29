/** The cases that wait for a deadline, all at once beside one healthy collector. */
import { afterAll, beforeAll, describe, test } from 'vitest';
import { judge } from './judge.ts';
import { SLOW_CASES } from './slow-cases.ts';
import { Stage } from './stage.ts';

let stage: Stage;

beforeAll(async () => {
  stage = await Stage.open();
});

afterAll(() => stage.close());

describe.concurrent('waiting', () => {
  test.each(SLOW_CASES.map((one, index) => ({ ...one, index })))('$id $name', (one) =>
    judge(stage, one, `slow${one.index}`),
  );
});

test('nothing is stored but what was sent in right messages', () => stage.mustHoldWhatWasSent());
