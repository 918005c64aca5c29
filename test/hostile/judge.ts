/** Plays a case on a stage and holds what came of it against what the table says. */
import { expect } from 'vitest';
import { DEADLINES_MS, type WireCase } from './case.ts';
import type { Peer } from './peer.ts';
import type { Stage } from './stage.ts';
import { AT_ONCE_MS, until } from './until.ts';

export async function judge(stage: Stage, one: WireCase, collector: string): Promise<void> {
  const peer = await one.play(stage, collector);
  await mustEnd(stage, one, peer);
  await stage.proveHealthy();
  const totals = await stage.server.audit(collector);
  expect(totals?.stored ?? 0).toBe(one.stored ?? 0);
  expect(totals?.rejected ?? 0).toBe(one.rejected ?? 0);
  await stage.mustHoldWhatWasSent(collector);
  peer.destroy();
  expect(stage.server.isRunning).toBe(true);
}

async function mustEnd({ server }: Stage, { end, within }: WireCase, peer: Peer): Promise<void> {
  if (end.by === 'nobody') {
    expect(peer.isClosed).toBe(false);
    return;
  }
  await until('it is closed', () => peer.isClosed, DEADLINES_MS[within] + AT_ONCE_MS);
  const said = peer.wire.take('bye');
  if (end.by === 'bye') {
    expect(said).toMatchObject([{ reason: end.reason }]);
    expect(said[0]?.text).toMatch(new RegExp(`^${end.text ?? ''}`));
    return;
  }
  if (end.by === 'close') expect(said).toEqual([]);
  else expect(said).toMatchObject([{ text: '' }]);
  const logged = await server.closing(peer.address);
  expect(logged.reason).toBe(end.log);
  expect(logged.msg).toContain(end.text ?? '');
}
