/** The lanes by themselves: what is read goes to one of them, once. */
import { expect, test } from 'vitest';
import { Lanes } from '#collector/producer/lanes.ts';
import { epochNumber, frame } from './rig.ts';

const [FIRST, SECOND, THIRD] = [1, 2, 3].map(epochNumber) as [string, string, string];
const AHEAD_BYTES = 10_000;
const known = () => true;

/** Three epochs in their order; the queue's newest frame is the second's fifth. */
function live(): Lanes {
  const isNewer = (epoch: string) => epoch === THIRD;
  return new Lanes({ order: 'live', backlogShare: 0.5 }, { epoch: SECOND, seq: 5 }, isNewer);
}

function seqs(lanes: Lanes): string[] {
  const left: string[] = [];
  for (let lane = lanes.next; lane; lane = lanes.next) {
    const [one] = lanes.take(lane, 1, 100);
    left.push(`${one?.epoch.at(-1)}/${one?.seq}`);
  }
  return left;
}

test('what lies behind the newest frame at the beginning is new, whatever its epoch', () => {
  const lanes = live();
  expect(lanes.startReading(AHEAD_BYTES)).toEqual({ after: { epoch: SECOND, seq: 5 } });
  lanes.onFrames([frame(SECOND, 6), frame(THIRD, 1)], known);
  expect(lanes.startReading(AHEAD_BYTES)).toEqual({ after: undefined });
  lanes.onFrames([frame(FIRST, 9), frame(SECOND, 5), frame(SECOND, 6), frame(THIRD, 1)], known);
  expect(seqs(lanes).toSorted()).toEqual(['1/9', '2/5', '2/6', '3/1']);
});

test('a queue that has forgotten where to begin gives nothing to the wrong lane', () => {
  const lanes = live();
  lanes.startReading(AHEAD_BYTES);
  lanes.onFrames([frame(FIRST, 8), frame(FIRST, 9)], known);
  expect(lanes.next).toBeUndefined();
  lanes.startReading(AHEAD_BYTES);
  lanes.onFrames([frame(FIRST, 8), frame(FIRST, 9), frame(THIRD, 1)], known);
  expect(seqs(lanes)).toEqual(['1/8', '1/9']);
  expect(lanes.startReading(AHEAD_BYTES)).toEqual({ after: { epoch: FIRST, seq: 9 } });
  lanes.onFrames([frame(THIRD, 1)], known);
  expect(seqs(lanes)).toEqual(['3/1']);
});

test('what is appended while a reading is under way is read by the next one', () => {
  const lanes = live();
  lanes.startReading(AHEAD_BYTES);
  lanes.onAppended();
  lanes.onFrames([], known);
  lanes.startReading(AHEAD_BYTES);
  lanes.onFrames([], known);
  expect(lanes.empty).toBe(false);
  expect(lanes.startReading(AHEAD_BYTES)).toEqual({ after: { epoch: SECOND, seq: 5 } });
  lanes.onFrames([], known);
  expect(lanes.empty).toBe(true);
  expect(lanes.startReading(AHEAD_BYTES)).toBeUndefined();
});

test('frames of an epoch without a number are left for the next reading', () => {
  const lanes = live();
  lanes.startReading(AHEAD_BYTES);
  expect(lanes.onFrames([frame(SECOND, 6), frame(THIRD, 1)], (epoch) => epoch !== THIRD)).toBe(
    false,
  );
  expect(seqs(lanes)).toEqual(['2/6']);
});

test('starting over reads every lane from its beginning, once nothing waits', () => {
  const lanes = live();
  lanes.startReading(AHEAD_BYTES);
  expect(lanes.startOver()).toBe(false);
  lanes.onFrames([frame(SECOND, 6)], known);
  expect(lanes.startOver()).toBe(false);
  seqs(lanes);
  expect(lanes.startOver()).toBe(true);
  const places = [lanes.startReading(AHEAD_BYTES)];
  lanes.onFrames([], known);
  places.push(lanes.startReading(AHEAD_BYTES));
  expect(places.map((place) => place?.after).toSorted()).toEqual([
    { epoch: SECOND, seq: 5 },
    undefined,
  ]);
});
