/**
 * A process that has nothing but Node.js, and takes on more when it is told: so its parent sees what
 * each part needs. Ends when the parent does. Exit codes: 0 closed as told, 1 failed.
 */
import { Worker } from 'node:worker_threads';
import { answerCommands } from '../child.ts';
import type { StepCommand } from './commands.ts';

answerCommands(async (command: StepCommand): Promise<void> => {
  switch (command.type) {
    case 'thread':
      await startIdleThread();
      return;
    case 'library':
      // Not before: its memory is what is looked at.
      await import('#collector/producer/producer.ts');
      return;
    case 'queue': {
      const { Producer } = await import('#collector/producer/producer.ts');
      const { path: queuePath, server, token } = command;
      await new Producer({ server, token, queuePath }).opened();
    }
  }
});

function startIdleThread(): Promise<void> {
  const worker = new Worker('setInterval(() => {}, 1_000)', { eval: true });
  return new Promise((resolve, reject) => {
    worker.once('online', resolve);
    worker.once('error', reject);
  });
}
