/**
 * Runs histories: many of them for their number, or one of them for its trace. Ends with 0 when the
 * promise held in all of them, 1 when not, 2 for a wrong command line.
 */
import { Command, InvalidArgumentError } from 'commander';
import { runHistory } from './history.ts';
import { planOf } from './plan.ts';

const program = new Command('simulate')
  .option('--seed <n>', 'the first seed', whole, Math.floor(Math.random() * 0x7fff_ffff))
  .option('--histories <n>', 'how many', whole, 1_000)
  .option('--minutes <n>', 'stop after so many minutes', Number)
  .option('--trace', 'print what happens, of one history')
  .action(run);

interface Options {
  seed: number;
  histories: number;
  minutes?: number;
  trace?: boolean;
}

async function run({ seed, histories, minutes, trace = false }: Options): Promise<void> {
  const startedAt = performance.now();
  const met = new Map<string, number>();
  const recoveries: number[] = [];
  let failed = 0;
  let count = 0;
  let accepted = 0;
  for (; count < (trace ? 1 : histories); count += 1) {
    const minutesGone = (performance.now() - startedAt) / 60_000;
    if (minutes !== undefined && minutesGone >= minutes) break;
    const verdict = await runHistory(planOf(seed + count), { trace });
    for (const line of verdict.trace) console.log(line);
    for (const [what, times] of verdict.met) met.set(what, (met.get(what) ?? 0) + times);
    recoveries.push(verdict.recoveryMs);
    accepted += verdict.accepted;
    if (verdict.failure === undefined) continue;
    failed += 1;
    console.log(`seed ${verdict.seed}: ${trace ? verdict.failure.stack : verdict.failure.message}`);
  }
  const seconds = (performance.now() - startedAt) / 1_000;
  for (const [what, times] of [...met].sort()) console.log(`${String(times).padStart(9)} ${what}`);
  recoveries.sort((a, b) => a - b);
  const quantile = (q: number) =>
    (recoveries[Math.floor((recoveries.length - 1) * q)] ?? 0) / 1_000;
  console.log(
    `${count} histories from seed ${seed}, ${failed} failed, ${accepted} frames; ` +
      `${Math.round((count / seconds) * 60)} histories a minute; settled after ` +
      `${quantile(0.5).toFixed(1)} s (median), ${quantile(0.99).toFixed(1)} s (p99), ${quantile(1).toFixed(1)} s`,
  );
  process.exitCode = failed > 0 ? 1 : 0;
}

function whole(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('must be a whole number.');
  return Number(text);
}

await program.parseAsync();
