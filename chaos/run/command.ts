/**
 * `./holdfast chaos` and its kin, from what was asked for to the exit code: which scenarios, in what
 * order, on the lab, with a report at the end. The command line itself is `main.ts`.
 */
import { accessSync, constants, mkdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { EXIT, type ExitCode, LabError } from '#lab/errors.ts';
import { PATHS } from '#lab/paths.ts';
import { folderName } from '#pages/folder.ts';
import type { FaultKind } from '../faults/fault.ts';
import { writeReport } from '../report/write.ts';
import { faultsOf } from '../scenario/file.ts';
import { scenariosNamed } from '../scenario/shipped.ts';
import { samplingUsage, soakScenario } from '../soak/soak.ts';
import { runSwarm } from '../swarm/run.ts';
import { scheduleText } from '../swarm/schedule-file.ts';
import { swarmScenario } from '../swarm/swarm.ts';
import { type FoundLab, type LabOptions, withLab } from './lab.ts';
import type { Progress } from './progress.ts';
import type { RunRecord } from './records.ts';
import { Run } from './runner.ts';
import { messageOf } from './within.ts';

export interface CommandContext extends Omit<LabOptions, 'folder' | 'tracing'> {
  readonly kinds: readonly FaultKind[];
  readonly product: RunRecord['product'];
  readonly progress: Progress;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
}

export interface ChaosRequest {
  /** As on the command line; the default set when there is none. */
  readonly names: readonly string[];
  /** 1 and up. */
  readonly repeat: number;
  readonly seed: number;
}

/** Scenario files, each as often as `repeat` says. @throws ScenarioError before anything is done. */
export async function chaos(request: ChaosRequest, context: CommandContext): Promise<ExitCode> {
  const { names, repeat, seed } = request;
  const scenarios = scenariosNamed(names, context.kinds);
  const command = ['./holdfast chaos', ...names, `--seed ${seed}`];
  if (repeat > 1) command.push(`--repeat ${repeat}`);
  const faults = new Set(
    scenarios.flatMap(({ scenario }) => faultsOf(scenario).map(({ fault }) => fault)),
  );
  const tracing = context.kinds.some(
    ({ kind, needs }) => faults.has(kind) && needs.includes('trace'),
  );
  const about = { kind: 'scenarios', seed, command: command.join(' '), tracing } as const;
  return inRun(context, about, async (run) => {
    for (const named of scenarios) {
      for (let turn = 1; turn <= repeat && !context.signal.aborted; turn += 1) {
        await run.play({ ...named, repeat: turn, repeats: repeat });
      }
    }
  });
}

export interface SwarmRequest {
  readonly seed: number;
  readonly minutes: number;
}

/** Random faults from a seed; a schedule that fails is written out, and shrunk by a few reruns. */
export async function swarm(
  { seed, minutes }: SwarmRequest,
  context: CommandContext,
): Promise<ExitCode> {
  const { kinds, progress } = context;
  const command = `./holdfast chaos --seed ${seed} --minutes ${minutes}`;
  return inRun(
    context,
    { kind: 'swarm', seed, command, tracing: true },
    async (run, { ground }, folder) => {
      const { files, shrunk } = await runSwarm({
        seed,
        scenario: swarmScenario({ seed, minutes, kinds, ground }),
        folder,
        command,
        play: async (scenario, name) => {
          context.signal.throwIfAborted();
          const text = scheduleText(scenario, [`seed ${seed}, ${minutes} minutes: ${command}`]);
          const { record, result } = await run.play({ name, scenario, text });
          return { outcome: record.outcome, reason: record.reason, result };
        },
        tell: (doing) => progress.line(doing),
      });
      for (const file of files) progress.line(`schedule: ${relative(PATHS.root, file)}`);
      if (shrunk === undefined) return;
      const { before, after } = shrunk.faults;
      progress.line(`shrunk in ${shrunk.reruns} reruns from ${before} faults to ${after}`);
    },
  );
}

/** Random faults for long, while what each program takes is sampled: it may not grow. */
export async function soak(
  { seed, minutes }: SwarmRequest,
  context: CommandContext,
): Promise<ExitCode> {
  const { kinds } = context;
  const command = `./holdfast soak --seed ${seed} --minutes ${minutes}`;
  return inRun(context, { kind: 'soak', seed, command, tracing: true }, async (run, { ground }) => {
    const scenario = soakScenario({ seed, minutes, kinds, ground });
    const text = scheduleText(scenario, [`seed ${seed}, ${minutes} minutes: ${command}`]);
    await run.play({ name: 'soak', scenario, text, beside: samplingUsage });
  });
}

/** The frame of every run: the lab, the folder, the report, and the last line with the verdict. */
async function inRun(
  context: CommandContext,
  { tracing, ...about }: Pick<RunRecord, 'kind' | 'seed' | 'command'> & { tracing: boolean },
  play: (run: Run, lab: FoundLab, folder: string) => Promise<void>,
): Promise<ExitCode> {
  const { kinds, product, progress, signal, print } = context;
  const reports = join(PATHS.root, 'reports');
  requireFolder(reports);
  const folder = join(reports, folderName(new Date()));
  const shown = relative(PATHS.root, folder);
  const result = await withLab({ ...context, folder: shown, tracing }, async (lab) => {
    progress.line(`seed ${about.seed}, on the ground ${lab.ground.kind}: ${lab.groundReason}`);
    const run = await Run.begin({ ...lab, ...about, kinds, product, folder, signal, progress });
    let failure: unknown;
    await play(run, lab, folder).catch((error) => {
      failure = error;
    });
    const ended = run.end();
    await writeReport(folder);
    // Of what Ctrl-C has ended the report tells, too.
    if (failure !== undefined && !signal.aborted) throw failure;
    return ended;
  });
  print('');
  print(`Report: ${join(shown, 'report.html')}`);
  print(`Again:  ${about.command}`);
  print(`${result.verdict}: ${result.text} (exit code ${result.exit_code})`);
  return result.exit_code;
}

/** Asked before the lab is touched: a run that can't keep its evidence is none. */
function requireFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true });
    accessSync(path, constants.W_OK);
  } catch (cause) {
    throw new LabError({
      code: 'folder_unusable',
      exitCode: EXIT.usage,
      message: `reports can't be written to ${path}; nothing was done`,
      details: [messageOf(cause)],
      next: ['Make it a folder that this user may write to, or move it away'],
      cause,
    });
  }
}
