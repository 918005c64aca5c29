/**
 * Source, mangler and server as programs: whatever is done to the bytes between them, every frame
 * is stored once and as it was captured, and the pipeline helps itself.
 */
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { ManglerClient } from '#chaos/mangler/client.ts';
import type { RuleInput } from '#chaos/mangler/rules.ts';
import { waitUntil } from '#chaos/observe/wait.ts';
import { judgeFiles } from '#chaos/oracle/evidence.ts';
import { seed } from '../seed.ts';
import {
  collect,
  drained,
  Program,
  past,
  scratch,
  startServer,
  startSource,
  stopAll,
} from './rig.ts';

afterEach(stopAll);

const BITES = 3;
const up = { direction: 'upstream', every_bytes: 20_000, seed: seed >>> 0 } as const;
const down = { direction: 'downstream', every_bytes: 500, seed: seed >>> 0 } as const;

const RULES: readonly RuleInput[] = [
  { do: 'flip', ...up },
  { do: 'flip', ...down },
  { do: 'double', ...up },
  { do: 'double', ...down, piece: 7 },
  { do: 'drop', ...up, piece: 1 },
  { do: 'drop', ...down },
  { do: 'swap', ...up },
  { do: 'swap', ...down, piece: 3 },
  { do: 'cut', direction: 'upstream', messages: 'hello', bytes: 20, times: BITES },
  {
    do: 'cut',
    direction: 'downstream',
    messages: 'ack',
    nth: 2,
    bytes: 9,
    by: 'fin',
    times: BITES,
  },
  { do: 'crumble', direction: 'downstream', messages: 'ack' },
];

test('mangled bytes cost connections and no frame', { timeout: 90_000 }, async () => {
  const directory = await scratch();
  const server = await startServer(join(directory, 'store'));
  const program = new Program('chaos/mangler/main.ts', {
    HOLDFAST_MANGLER_PORT: '0',
    HOLDFAST_MANGLER_CONTROL_PORT: '0',
    HOLDFAST_MANGLER_UPSTREAM: `127.0.0.1:${server.port}`,
  });
  const { port, control } = await program.logged('started');
  const mangler = new ManglerClient(`http://127.0.0.1:${control}`);
  const source = await startSource(directory, String(port), { HOLDFAST_LOAD_RATE: '300' });
  await past(source, 'acked', 200);
  const [connection] = await mangler.connections();
  expect(connection).toMatchObject({ collector: 'load-1', opaque: false });
  for (const rule of RULES) {
    const { id } = await mangler.make(rule);
    // Some are about handshakes.
    await mangler.reset();
    await waitUntil(
      `${JSON.stringify(rule)} has bitten`,
      async () => (await mangler.rule(id)).count >= BITES,
      { describe: () => source.status() },
    );
    await mangler.lift(id);
    await past(source, 'acked', (await source.status()).counters.acked + 100);
  }
  source.program.child.kill('SIGUSR2');
  const { attempts } = await source.program.logged('load_ended');
  await drained(source, Number(attempts));
  expect((await source.status()).counters.connections).toBeGreaterThan(RULES.length);
  const result = await judgeFiles(await collect(directory, server.api));
  expect(result.reasons).toEqual([]);
  expect(await program.kill('SIGTERM')).toBe(0);
});

test('the mangler says which settings are wrong, and starts nothing', async () => {
  const program = new Program('chaos/mangler/main.ts', {
    HOLDFAST_MANGLER_PORT: 'x',
    HOLDFAST_MANGLER_UPSTREAM: 'nowhere',
  });
  expect(await program.exit).toBe(2);
  expect(program.stderr).toMatch(/HOLDFAST_MANGLER_PORT must be .*\n.*HOLDFAST_MANGLER_UPSTREAM/);
});
