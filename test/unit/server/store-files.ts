/**
 * Stores as files for tests of damage: made with frames in them, and harmed in known ways. Frames
 * are written by the real store; pages are found by what is on them.
 */
import { randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { WireFrame } from '#protocol/messages.ts';
import { SqliteStore, type SqliteStoreOptions } from '#server/store/sqlite-store.ts';
import { announce, batchOf, EPOCH_A, epochOf, frameOf } from './store-contract.ts';

export const PAGE_BYTES = 4_096;

export function openIn(
  directory: string,
  more: Partial<SqliteStoreOptions> = {},
): Promise<SqliteStore> {
  return SqliteStore.open({ directory, fresh: { storeId: randomUUID(), createdAt: 1 }, ...more });
}

/** Frames of 300 bytes, more or less, each with its seq in it as text. */
export function longFrames(from: number, to: number): WireFrame[] {
  return Array.from({ length: to - from + 1 }, (_, index) => longFrame(from + index));
}

function longFrame(seq: number): WireFrame {
  return frameOf(EPOCH_A, seq, `frame number ${seq}, `.repeat(15));
}

/** A closed store with frames 1 to `count` of the epoch A of c1. Answers the path of its file. */
export async function filledStore(directory: string, count: number): Promise<string> {
  const store = await openIn(directory);
  const { streams } = await announce(store, [epochOf(EPOCH_A, 1, count)]);
  for (let from = 1; from <= count; from += 1_000) {
    const frames = longFrames(from, Math.min(count, from + 999));
    await store.commit(batchOf(streams[0] ?? -1, { frames }));
  }
  await store.close();
  return join(directory, 'holdfast.db');
}

/** Changes a file's bytes in place. */
export function harm(path: string, change: (bytes: Buffer) => void): void {
  const bytes = readFileSync(path);
  change(bytes);
  writeFileSync(path, bytes);
}

/** Zeroes the page on which a frame's payload is. */
export function zeroPageOf(path: string, seq: number): void {
  harm(path, (bytes) => {
    const page = Math.floor(placeOf(bytes, seq) / PAGE_BYTES);
    bytes.fill(0, page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
  });
}

/** Flips a bit in a frame's payload. */
export function flipBitOf(path: string, seq: number): void {
  harm(path, (bytes) => {
    const at = placeOf(bytes, seq) + 20;
    bytes[at] = (bytes[at] ?? 0) ^ 4;
  });
}

function placeOf(bytes: Buffer, seq: number): number {
  const at = bytes.indexOf(`frame number ${seq}, `);
  if (at < 0) throw new Error(`frame ${seq} is not in the file`);
  return at;
}
