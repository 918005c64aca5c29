/** The link's socket towards servers that do what none of ours does. */
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { dial, Link } from '#collector/producer/link.ts';
import type { LinkError } from '#collector/producer/link-error.ts';
import { WINDOW_BYTES_MAX } from '#collector/producer/window.ts';

const MIB = 1_048_576;
/** What two kernels hold of one connection, at most. */
const KERNEL_BYTES_MAX = 32 * MIB;

const accepted: Socket[] = [];
const server = createServer((socket) => {
  accepted.push(socket.pause().on('error', () => {}));
});

afterEach(() => {
  for (const socket of accepted.splice(0)) socket.destroy();
  server.close();
});

test('a server that never reads is given up when a window and some more wait for it', async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  const connected = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<LinkError | undefined>();
  let isClosed = false;
  const events = {
    onConnected: () => connected.resolve(),
    onBytes: () => {},
    onClosed: (_connection: number, error: LinkError | undefined) => {
      isClosed = true;
      closed.resolve(error);
    },
  };
  const link = new Link({ host: '127.0.0.1', port }, events, {
    dial: dial,
    after: () => () => {},
  });
  link.dial(1);
  await connected.promise;
  const bytes = Buffer.alloc(MIB);
  let written = 0;
  while (!isClosed && written < 4 * WINDOW_BYTES_MAX) {
    link.write(1, bytes);
    written += bytes.length;
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(await closed.promise).toMatchObject({ code: 'no_progress', retry: 'transient' });
  expect(written).toBeGreaterThan(WINDOW_BYTES_MAX);
  expect(written).toBeLessThan(WINDOW_BYTES_MAX + KERNEL_BYTES_MAX + 4 * MIB);
});
