/** The status endpoints as scripts and people see them, over real HTTP. */
import { afterEach, describe, expect, test } from 'vitest';
import { statusDocument } from '#collector/status/document.ts';
import { HttpServer, ListenError } from '#collector/status/http-server.ts';
import { statusRoutes } from '#collector/status/routes.ts';
import type { Snapshot } from '#collector/status/snapshot.ts';
import { NOON_US, PRODUCER, snapshotOf } from './snapshot.ts';

const servers: HttpServer[] = [];
const errors: unknown[] = [];

async function serve(snapshot: () => Snapshot): Promise<string> {
  const server = await HttpServer.listen({
    host: '127.0.0.1',
    port: 0,
    routes: statusRoutes(snapshot, 1_000),
    onError: (error) => errors.push(error),
  });
  servers.push(server);
  return `http://127.0.0.1:${server.port}`;
}

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
  errors.length = 0;
});

describe('/status', () => {
  test('has the fixed names, times in RFC 3339 with microseconds', () => {
    expect(statusDocument(PRODUCER, snapshotOf().samples)).toEqual({
      collector: 'web-3-0a1b2c3d',
      epoch: '0193a2b4-0000-7000-8000-000000000001',
      state: 'Backoff',
      since: '2026-11-21T08:12:17.000123Z',
      attempt: 3,
      next_retry_at: '2026-11-21T08:12:17.250123Z',
      last_error: {
        code: 'refused',
        message: '127.0.0.1:9004: nothing listens there (ECONNREFUSED)',
        retry: 'transient',
        at: '2026-11-21T08:12:17.000123Z',
      },
      queue: {
        frames: 12,
        bytes: 40_960,
        kept_bytes: 3_000,
        oldest_captured_at: '2026-11-21T08:12:05.000123Z',
        limit_bytes: 1_073_741_824,
        when_full: 'drop-oldest',
        max_age_ms: 0,
        disk_full: false,
      },
      counters: {
        captured: 41,
        refused: 1,
        held: 2,
        accepted: 40,
        acked: 28,
        declared: 0,
        lost_by_store: 0,
        dead: 0,
        resent: 2,
        connections: 4,
      },
    });
  });

  test('writes what does not apply as null', () => {
    const fresh = statusDocument(
      {
        ...PRODUCER,
        epoch: undefined,
        state: 'Ready',
        nextRetryAt: undefined,
        lastError: undefined,
        queue: { ...PRODUCER.queue, oldestCapturedAt: undefined },
      },
      snapshotOf().samples,
    );
    expect(fresh).toMatchObject({ epoch: null, next_retry_at: null, last_error: null });
    expect(fresh.queue.oldest_captured_at).toBeNull();
  });

  test('answers 503 with the reason while the queue is being opened', async () => {
    const reason = 'the queue is being opened';
    const readiness = { ready: false, reason } as const;
    const url = await serve(() => snapshotOf({ readiness, producer: undefined }));
    const response = await fetch(`${url}/status`);
    expect(response.status).toBe(503);
    expect(await response.json()).toEqual({ error: 'not_open', ready: false, reason });
  });
});

describe('/readyz and /healthz', () => {
  test('ready while the link is down, for the collector can collect', async () => {
    const url = await serve(() => snapshotOf());
    expect((await fetch(`${url}/readyz`)).status).toBe(200);
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
  });

  test('not ready says why', async () => {
    const readiness = { ready: false, reason: 'the collector is stopping' } as const;
    const url = await serve(() => snapshotOf({ readiness }));
    const response = await fetch(`${url}/readyz`);
    expect([response.status, await response.text()]).toEqual([
      503,
      'not ready: the collector is stopping\n',
    ]);
  });

  test('a sampling loop that stopped ticking is not healthy', async () => {
    const url = await serve(() => snapshotOf({ sinceTickMs: 60_000 }));
    const response = await fetch(`${url}/healthz`);
    expect(response.status).toBe(503);
    expect(await response.text()).toContain('has not ticked for 60 s');
  });
});

describe('/metrics', () => {
  test('shows the snapshot of the moment, and one gauge for each state', async () => {
    let snapshot = snapshotOf();
    const url = await serve(() => snapshot);
    const first = await (await fetch(`${url}/metrics`)).text();
    expect(first).toContain('\nholdfast_frames_accepted_total 40\n');
    expect(first).toContain('\nholdfast_link_state{state="Backoff"} 1\n');
    expect(first).toContain('\nholdfast_link_state{state="Ready"} 0\n');
    expect(first).toContain(`\nholdfast_sample_last_captured_timestamp_seconds ${NOON_US / 1e6}\n`);
    const producer = { ...PRODUCER, state: 'Ready', nextRetryAt: undefined } as const;
    snapshot = snapshotOf({ producer });
    const second = await (await fetch(`${url}/metrics`)).text();
    expect(second).toContain('\nholdfast_frames_accepted_total 40\n');
    expect(second).toContain('\nholdfast_link_state{state="Backoff"} 0\n');
    expect(second).not.toMatch(/^holdfast_link_next_retry_timestamp_seconds/m);
  });

  test('counters stand at 0 before the queue is open', async () => {
    const url = await serve(() => snapshotOf({ producer: undefined }));
    const text = await (await fetch(`${url}/metrics`)).text();
    expect(text).toContain('\nholdfast_frames_declared_total 0\n');
    expect(text).not.toMatch(/^holdfast_queue_frames /m);
  });
});

describe('the server', () => {
  test('answers HEAD without a body and refuses other methods and paths', async () => {
    const url = await serve(() => snapshotOf());
    const head = await fetch(`${url}/status`, { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([200, '']);
    const post = await fetch(`${url}/status`, { method: 'POST' });
    expect([post.status, post.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
    expect((await fetch(`${url}/../main.ts`)).status).toBe(404);
  });

  test.each(['/', '/page.css', '/page.js', '/status'])('guards %s by headers', async (path) => {
    const url = await serve(() => snapshotOf());
    const { status, headers } = await fetch(url + path);
    expect(status).toBe(200);
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('content-security-policy')).toContain("default-src 'none'");
  });

  test('the page asks for nothing but its own files', async () => {
    const url = await serve(() => snapshotOf());
    const page = await (await fetch(url)).text();
    for (const [, target = ''] of page.matchAll(/(?:src|href)="([^"]*)"/g)) {
      expect((await fetch(new URL(target, url))).status).toBe(200);
    }
    expect(page).not.toMatch(/https?:/);
  });

  test('a mistake of ours becomes a 500 without details, and is told', async () => {
    const url = await serve(() => {
      throw new Error('secret detail');
    });
    const response = await fetch(`${url}/status`);
    expect([response.status, await response.text()]).toEqual([
      500,
      'internal error; see the log\n',
    ]);
    expect(errors).toHaveLength(1);
  });

  test('a port that is taken is a typed error that names it', async () => {
    const url = await serve(() => snapshotOf());
    const port = Number(new URL(url).port);
    const listening = HttpServer.listen({
      host: '127.0.0.1',
      port,
      routes: new Map(),
      onError: () => {},
    });
    await expect(listening).rejects.toThrow(ListenError);
    await expect(listening).rejects.toThrow(`port ${port}: another program listens there`);
  });
});
