/** A crowd of silent connections: so many as asked for, and it knows who was turned away. */
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { Crowd } from '#chaos/faults/crowd.ts';
import { waitUntil } from '#chaos/observe/wait.ts';

const never = new AbortController().signal;

test('opens as many as it was told, counts those that are closed, and leaves as a whole', async () => {
  const taken: Socket[] = [];
  const server = createServer((socket) => {
    taken.push(socket);
    socket.on('error', () => undefined);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : 0;
  const crowd = new Crowd(`http://127.0.0.1:${port}`);
  await crowd.grow(120, never);
  await waitUntil('all are taken', () => taken.length === 120);
  expect([crowd.open, crowd.turnedAway]).toEqual([120, 0]);
  for (const socket of taken.slice(0, 7)) socket.destroy();
  await waitUntil('the crowd knows', () => crowd.turnedAway === 7);
  await crowd.grow(10, never);
  expect(crowd.open).toBe(123);
  crowd.close();
  await waitUntil('all have left', () => taken.every(({ destroyed }) => destroyed));
  server.close();
});

test('says so when nobody takes them', async () => {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : 0;
  server.close();
  await once(server, 'close');
  await expect(new Crowd(`http://127.0.0.1:${port}`).grow(3, never)).rejects.toThrow(
    /3 of 3 connections were not taken/,
  );
});
