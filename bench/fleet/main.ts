/**
 * The process of a fleet: a thousand senders on lists in memory, told by its parent what to do. Ends
 * when the parent does. Exit codes: 0 closed as told, 1 failed.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { macKeyOf } from '#protocol/handshake.ts';
import { answerCommands } from '../child.ts';
import { machineMs } from '../source/commands.ts';
import { capturedAtOf, type FramePlan, payloadOf } from '../source/frames.ts';
import type { Dial, FleetCommand, FleetFacts } from './commands.ts';
import { Member } from './member.ts';

const POLL_MS = 5;

let members: Member[] = [];
let plan: FramePlan | undefined;
let sent = 0;
let dials: Dial[] = [];
let ackMs: number[] = [];

answerCommands(async (command: FleetCommand): Promise<FleetFacts> => {
  switch (command.type) {
    case 'open':
      open(command);
      await until((member) => member.ready);
      break;
    case 'load':
      await load(command.framesEach, command.perSecondEach);
      break;
    case 'watch':
      dials = [];
      break;
    case 'ready':
      await until((member) => member.ready);
      break;
    case 'close':
      for (const member of members) member.stop();
      break;
  }
  const resent = members.reduce((sum, member) => sum + member.resent, 0);
  return { at: machineMs(), ackMs: command.type === 'load' ? ackMs : [], dials, resent };
});

function open(command: Extract<FleetCommand, { type: 'open' }>): void {
  plan = command.plan;
  members = Array.from(
    { length: command.members },
    (_, i) =>
      new Member({
        port: command.port,
        key: macKeyOf(Buffer.from(command.token)),
        collector: `member-${i}`,
        onDial: (lateMs) => {
          const begunAt = machineMs();
          dials.push({ dueAt: begunAt - lateMs, begunAt });
        },
        onAcked: (ms) => ackMs.push(ms),
      }),
  );
}

/** By turns, and on the whole at the rate: a tick that comes late appends all that is due. */
async function load(framesEach: number, perSecondEach: number): Promise<void> {
  ackMs = [];
  const end = sent + framesEach * members.length;
  const begun = sent;
  const startedAt = performance.now();
  while (sent < end) {
    const elapsedS = (performance.now() - startedAt) / 1_000;
    const due = Math.min(end, begun + Math.floor(elapsedS * perSecondEach * members.length));
    for (; sent < due; sent += 1) {
      if (plan === undefined) throw new Error('the fleet is not open');
      members[sent % members.length]?.append(payloadOf(plan, sent), capturedAtOf(plan, sent));
    }
    await delay(1);
  }
  await until((member) => member.heldCount === 0);
}

async function until(holds: (member: Member) => boolean): Promise<void> {
  while (!members.every(holds)) await delay(POLL_MS);
}
