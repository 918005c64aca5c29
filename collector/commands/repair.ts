/** `./holdfast collector queue repair`: says what it would do, asks, and does it. */
import type { Command } from 'commander';
import type { RecoveryReport } from '#collector/producer/queue/types.ts';
import { withQueue } from '#collector/tools/ownership.ts';
import { planRepair, type RepairStep, repairQueue } from '#collector/tools/repair.ts';
import { type QueueView, viewQueue } from '#collector/tools/view.ts';
import { CommandError, jsonOption, pathOption } from './command.ts';
import { canAsk, confirm, countText, Progress, print, printJson, sizeText } from './output.ts';

interface RepairOptions {
  readonly path: string;
  readonly yes?: boolean;
  readonly json?: boolean;
}

const EXAMPLES = `
Examples:
  See what it would do (nothing is changed; exit code 1 when there is something to do):
    ./holdfast collector queue repair < /dev/null
  Do it, without a question:
    ./holdfast collector queue repair --yes

The collector has to be stopped. Every start of it repairs in the same way what it meets; this does it at
once, and for all of the queue. Nothing that reads is thrown away: good frames keep their identity, damaged
files are moved to set-aside/, and what is lost is declared to the server by number, reason "damaged".
`;

export function addRepairCommand(queue: Command): void {
  queue
    .command('repair')
    .description('repair a stopped queue: shows what it would do, and asks first')
    .addOption(pathOption())
    .option('--yes', 'do it without a question')
    .addOption(jsonOption())
    .addHelpText('after', EXAMPLES)
    .action((options: RepairOptions) => withQueue(options.path, () => repair(options)));
}

async function repair(options: RepairOptions): Promise<void> {
  const progress = new Progress();
  const view = viewQueue(options.path, {
    whole: true,
    onProgress: (read, all) => progress.show(() => `${sizeText(read)} of ${sizeText(all)} read`),
  });
  progress.end();
  const steps = planRepair(view);
  if (steps.length === 0) return tell(options, view, steps, undefined);
  if (!options.json) for (const line of planLines(view, steps)) print(line);
  const mayRepair = options.yes || (!options.json && canAsk() && (await confirm('Do this?')));
  if (mayRepair) return tell(options, view, steps, repairQueue(view));
  if (options.json) tell(options, view, steps, undefined);
  throw new CommandError('failed', 'nothing was changed; with --yes it is done');
}

function planLines({ path }: QueueView, steps: readonly RepairStep[]): string[] {
  return [
    `To repair the queue in ${path}:`,
    ...steps.map(({ file, what }) => (file === '' ? `  ${what}` : `  ${file}: ${what}`)),
  ];
}

function tell(
  { json }: RepairOptions,
  { path }: QueueView,
  plan: readonly RepairStep[],
  done: RecoveryReport | undefined,
): void {
  if (json) {
    printJson({
      path,
      plan,
      done: done !== undefined,
      damage: done?.damage ?? [],
      declared: done?.gaps ?? [],
      pending: done?.frames ?? null,
    });
    return;
  }
  if (done === undefined) return print(`The queue in ${path} is whole: nothing to repair.`);
  for (const { message } of done.damage) print(`✓ ${message}`);
  for (const { epoch, from, to } of done.gaps)
    print(`✓ declared damaged: ${epoch} ${from} to ${to}`);
  print(`Repaired; ${countText(done.frames, 'frame')} waiting.`);
}
