/** An export as pages of frames, one after the other: whoever reads them, a thread or a program. */
import type { FrameFilter, FramePage, FramePosition, FrameQuery, StoredFrame } from './store.ts';

const CHUNK_FRAMES = 1_000;

/** Everything that matches behind a place, as `Store.export` has it. */
export async function* exportChunks(
  read: (query: FrameQuery) => FramePage | Promise<FramePage>,
  filter: FrameFilter,
  after?: FramePosition,
): AsyncGenerator<readonly StoredFrame[]> {
  let place = after;
  for (;;) {
    const query = { ...filter, order: 'oldest', limit: CHUNK_FRAMES, after: place } as const;
    const { frames, last } = await read(query);
    if (frames.length > 0) yield frames;
    if (last) return;
    place = frames.at(-1);
  }
}
