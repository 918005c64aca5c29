/**
 * Makes a whole store of a damaged one: every frame whose CRC holds, wherever its page is, and what
 * else is known. The damaged files are set aside, untouched.
 *
 * The new store keeps the old one's id, for it is the same store that has lost something: it calls
 * nothing stored that isn't, so collectors find out what is lost when they next ask, send again what
 * they still hold under its own identity, and declare the rest (`lost_after_ack`). A new id would
 * have every collector send all it keeps, and declare what is stored here.
 */
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { type BuiltStore, StoreBuilder } from './builder.ts';
import { Carving } from './carving.ts';
import { StoreFacts } from './facts.ts';
import { inspect, problemLines } from './inspection.ts';
import { lockStore } from './lock.ts';
import { replaceStore, storeFileOf } from './replacing.ts';
import { checkHeader, checkThere } from './sqlite-schema.ts';
import { StoreError } from './store.ts';

export interface Salvaged extends BuiltStore {
  /** Where the damaged files are now. */
  readonly movedTo: string;
  /** The old store's id could not be read: collectors take this for another store. */
  readonly idIsNew: boolean;
}

/**
 * Salvages the store in a directory, which no server works on. Frames are told of by `onProgress`.
 * Throws StoreError `path`, `busy`, `full`, `io`; then all is as it was.
 */
export function salvageStore(
  directory: string,
  now: Date,
  onProgress: (frames: number) => void = () => {},
): Salvaged {
  const source = storeFileOf(directory);
  checkThere(source);
  const lock = lockStore(directory);
  try {
    const making = join(directory, 'holdfast.db.salvaging');
    const { idIsNew, ...built } = build(source, making, now, onProgress);
    const movedTo = replaceStore(directory, making, 'damaged', now);
    return { ...built, idIsNew, movedTo: movedTo ?? directory };
  } finally {
    lock.release();
  }
}

function build(
  source: string,
  making: string,
  now: Date,
  onProgress: (frames: number) => void,
): BuiltStore & { readonly idIsNew: boolean } {
  const carving = new Carving(source);
  let builder: StoreBuilder | undefined;
  try {
    const facts = new StoreFacts();
    carving.gatherFacts(facts);
    refuseOther(source, facts);
    const storeId = facts.storeId ?? randomUUID();
    const createdAt = facts.createdAt ?? now.getTime() * 1_000;
    builder = new StoreBuilder(making, { storeId, createdAt });
    let frames = 0;
    for (const frame of carving.frames(facts)) {
      builder.add(frame);
      frames += 1;
      onProgress(frames);
    }
    const built = builder.finish(facts, storeId);
    builder.giveToOwnerOf(source);
    const report = inspect(making, { inUse: false });
    if (report.problems.length > 0) {
      const text = `what was salvaged is damaged itself: ${problemLines(report).join('; ')}. Everything is as it was; this is a mistake of the tool, or the disk's`;
      throw new StoreError('io', text);
    }
    return { ...built, idIsNew: facts.storeId === undefined };
  } catch (error) {
    builder?.abandon();
    throw error;
  } finally {
    carving.close();
  }
}

/** A file that isn't a store is left alone; one whose header is damaged is known by what is in it. */
function refuseOther(source: string, facts: StoreFacts): void {
  try {
    checkHeader(source);
  } catch (error) {
    const isDamaged = error instanceof StoreError && error.code === 'foreign';
    if (!isDamaged || (facts.storeId === undefined && facts.streams.size === 0)) throw error;
  }
}
