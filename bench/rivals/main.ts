/**
 * The process of one rival and nothing else, so that its memory and its CPU are its own; told by its
 * parent what to send. Ends when the parent does. Exit codes: 0 closed as told, 1 failed.
 */
import { answerCommands } from '../child.ts';
import type { RivalCommand, RivalFacts } from './commands.ts';
import { Rival } from './rival.ts';

type Start = Extract<RivalCommand, { type: 'open' }>;

let start: Start | undefined;
let rival: Rival | undefined;

const NOTHING: RivalFacts = { taken: 0, atRest: false, cutsInFlight: 0 };

answerCommands(async (command: RivalCommand): Promise<RivalFacts> => {
  if (command.type === 'open') start = command;
  if (command.type === 'load') {
    if (start === undefined) throw new Error('the rival is not open');
    const { plan, frames } = command;
    rival = new Rival({ ...start, plan, frames });
  }
  if (command.type === 'close') rival?.close();
  return rival?.facts ?? NOTHING;
});
