/** Who is measured when, and what becomes of the others when one fails. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { BenchError } from '#bench/errors.ts';
import type { PeerKind } from '#bench/peers/peer.ts';
import { type Contender, inTurns } from '#bench/peers/turns.ts';
import { UnpackedPackages } from '#lab/debian-packages.ts';
import { LabError } from '#lab/errors.ts';

let folder = '';
let abort = new AbortController();
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-turns-'));
  abort = new AbortController();
});
afterEach(() => rmSync(folder, { recursive: true }));

const start = () => Promise.reject(new Error('not to be started'));
const ours: Contender = { name: 'ours', synced: true, about: 'ours', backlog: 1, start };
const kind = (name: string): PeerKind => {
  return { name, packages: [name], synced: false, settings: ['as it comes'], backlog: 1, start };
};

function bench(missing?: string) {
  const debianPackages = async ([name = '']: readonly string[]) => {
    if (name !== missing) return new UnpackedPackages(folder, { [name]: '1.0' });
    const next = ['Run this on Debian.'];
    throw new LabError({ code: 'install_refused', message: `no ${name} here`, next });
  };
  return { debianPackages, signal: abort.signal, progress: () => {} };
}

const about = { name: 'drain', rounds: 3 };
const field = { ours, kinds: [kind('one'), kind('two')] };

test('all are measured in turns, every other time in reverse; a peer is told by its version and settings', async () => {
  const order: string[] = [];
  const measured = await inTurns(bench(), { ...about, rounds: 2 }, field, async (contender) => {
    order.push(contender.name);
    return order.length;
  });
  expect(order).toEqual(['ours', 'one', 'two', 'two', 'one', 'ours']);
  expect(measured.ours.results).toEqual([1, 6]);
  expect(measured.peers.map(({ results }) => results)).toEqual([
    [2, 5],
    [3, 4],
  ]);
  expect(measured.peers[0]?.contender.about).toBe('one 1.0; as it comes');
  expect(measured).toMatchObject({ known: 2, failures: [] });
});

test('a peer that fails keeps what it had, is not tried again and stops nobody', async () => {
  const tried: string[] = [];
  const measured = await inTurns(bench(), about, field, async ({ name }) => {
    tried.push(name);
    const isSecond = tried.filter((one) => one === name).length === 2;
    if (name === 'one' && isSecond) throw new BenchError('it hung up');
    return 1;
  });
  expect(tried.filter((name) => name === 'one')).toHaveLength(2);
  expect(measured.peers.map(({ results }) => results.length)).toEqual([1, 3]);
  expect(measured.ours.results).toHaveLength(3);
  expect(measured.failures).toEqual(['one: it hung up']);
});

test('a peer that cannot be had is told, with what to do, and the others are measured', async () => {
  const measured = await inTurns(bench('two'), about, field, async () => 1);
  expect(measured.peers.map(({ contender }) => contender.name)).toEqual(['one']);
  expect(measured.failures).toEqual(['two: no two here. Run this on Debian.']);
  expect(measured.known).toBe(2);
});

test('where ours fails, or the run is interrupted, there is nothing to compare', async () => {
  const fails = (who: string) => async (contender: Contender) => {
    if (contender.name === who) throw new BenchError('it failed');
    return 1;
  };
  await expect(inTurns(bench(), about, field, fails('ours'))).rejects.toThrow('it failed');
  abort.abort(new Error('interrupted'));
  await expect(inTurns(bench(), about, field, fails('one'))).rejects.toThrow('interrupted');
});
