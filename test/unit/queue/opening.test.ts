/**
 * An opening that the disk hinders: what can't be read costs what it held, what finds no room stays
 * as it is, and the rest of the queue opens all the same.
 */
import { describe, expect, test } from 'vitest';
import { CollectorIdError } from '#collector/producer/queue/errors.ts';
import { loadCollectorId } from '#collector/producer/queue/identity-file.ts';
import { ModelledFiles, noSpace, type PortCall } from './modelled-files.ts';
import { appendFrames, openCore, readAll, STORE, seqsOf } from './support.ts';

const OPTIONS = { segmentBytes: 4_000 };

function refuseReads(files: ModelledFiles, name: string): void {
  files.before = ({ operation, path }: PortCall) => {
    if (operation === 'read' && path === name)
      throw Object.assign(new Error('EIO'), { code: 'EIO' });
  };
}

/** 60 frames of one epoch in segments of 29; those up to 30 are stored. */
function filled(): { files: ModelledFiles; name: string } {
  const files = new ModelledFiles();
  const core = openCore(files, OPTIONS);
  const epoch = appendFrames(core, 1, 60, 100)[0]?.epoch ?? '';
  core.settle(STORE, epoch, [{ from: 1, to: 30, state: 'stored', code: 0 }]);
  core.close();
  return { files, name: files.names('segment-')[1] ?? '' };
}

test('a checkpoint that the disk refuses to read is set aside, and its frames are sent again', () => {
  const { files } = filled();
  refuseReads(files, 'checkpoint');
  const core = openCore(files, OPTIONS);
  const [damage] = core.recovery.damage;
  expect(damage).toMatchObject({ kind: 'unreadable', setAsideAs: 'set-aside/checkpoint' });
  expect(damage?.message).toContain('EIO');
  expect(seqsOf(readAll(core)).at(-1)).toBe(60);
});

test('a collector id that the disk refuses to read is told, and no other one made', () => {
  const files = new ModelledFiles();
  const source = { path: '/queue', hostName: 'here', randomHex: '00000000' };
  loadCollectorId(files, source);
  refuseReads(files, 'collector-id');
  expect(() => loadCollectorId(files, source)).toThrow(CollectorIdError);
  expect(() => loadCollectorId(files, source)).toThrow('EIO');
  files.before = () => {};
  expect(loadCollectorId(files, { ...source, randomHex: '11111111' })).toBe('here-00000000');
});

describe('on a disk without room', () => {
  function withoutRoom(files: ModelledFiles): void {
    files.before = ({ operation, path }: PortCall) => {
      files.roomBytes = 0;
      if (operation === 'rename' || operation === 'makeDirectory') throw noSpace(path);
    };
  }

  function hurt(files: ModelledFiles, name: string): void {
    files.edit(name, (content) => content.fill(0xee, 1_000, 1_010));
    for (const index of files.names('index-')) files.unlink(index);
  }

  test('a damaged segment stays in place, and its good frames are delivered', () => {
    const { files, name } = filled();
    hurt(files, name);
    const damaged = files.content(name);
    withoutRoom(files);
    const core = openCore(files, OPTIONS);
    expect(core.recovery.damage).toMatchObject([{ file: name, kind: 'damaged' }]);
    expect(core.recovery.damage[0]?.setAsideAs).toBeUndefined();
    const read = seqsOf(readAll(core));
    const lost = core.pendingGaps().flatMap(({ from, to }) => (from === to ? [from] : []));
    expect(lost).toHaveLength(1);
    expect([...read, ...lost].sort((a, b) => a - b)).toEqual(
      Array.from({ length: 30 }, (_, i) => i + 31),
    );
    expect(files.content(name)).toEqual(damaged);
    expect(files.names(name.replace('.log', '.repaired'))).toEqual([]);

    // With room it is repaired by the next opening, and nothing more is lost.
    files.before = () => {};
    files.roomBytes = Number.POSITIVE_INFINITY;
    core.close();
    const next = openCore(files, OPTIONS);
    expect(next.recovery.damage).toMatchObject([{ setAsideAs: `set-aside/${name}` }]);
    expect(seqsOf(readAll(next))).toEqual(read);
  });

  test('a foreign file stays in place, and is not read', () => {
    const { files, name } = filled();
    files.edit(name, (content) => content.fill(0x20));
    withoutRoom(files);
    const core = openCore(files, OPTIONS);
    expect(core.recovery.damage).toMatchObject([{ file: name, kind: 'foreign', framesSaved: 0 }]);
    expect(files.names(name)).toEqual([name]);
    expect(seqsOf(readAll(core)).length).toBeGreaterThan(0);
  });
});
