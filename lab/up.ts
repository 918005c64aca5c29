/**
 * `up`: set-up, then the services, then the proof that the whole path works: a frame captured after
 * the start has reached the store. Leaves the link whole, whatever an earlier run did to it.
 */

import { setTimeout as delay } from 'node:timers/promises';
import { callCompose } from '#lab/compose.ts';
import { EXIT, interrupted, LabError } from '#lab/errors.ts';
import { type GroundName, groundToSetUp, hinted, noteGround } from '#lab/ground/choose.ts';
import { mend } from '#lab/ground/compose/mend.ts';
import { linkOfLab } from '#lab/ground/link-of-lab.ts';
import { type Start, startAsProcesses } from '#lab/ground/process/start.ts';
import { describeLink } from '#lab/link.ts';
import { withLock } from '#lab/lock.ts';
import { Pipeline } from '#lab/pipeline.ts';
import { refuseTakenPorts, takenPorts } from '#lab/ports.ts';
import { known, type LabContext, noteSetup, type Prepared, setupSteps } from '#lab/setup.ts';
import { runSteps, type Step, type StepPlan } from '#lab/steps.ts';
import { probeTls } from '#lab/tls.ts';

const COMPOSE_TIMEOUT_MS = 180_000;
/** The newest stored frame must grow newer within this; a long backlog may take many times that. */
const PROGRESS_TIMEOUT_MS = 60_000;
const TOXIPROXY_TIMEOUT_MS = 30_000;
const POLL_MS = 100;
const LOG_LINES_SHOWN = '15';

/**
 * Brings the lab up, on the ground that is meant (`ground/choose.ts`).
 * @returns the lines to print at the end: addresses, how long the first frame took, what to try.
 * @throws LabError of set-up, `port_taken`, `ground_busy`, `command_failed` (Compose),
 *   `ground_failed` (processes) or `path_unproven`.
 */
export async function up(context: LabContext, print: (line: string) => void): Promise<void> {
  const { config, files } = context;
  const name = await groundToSetUp(context, print);
  const start = name === 'process' ? startAsProcesses(context) : startInContainers(context);
  let firstFrameMs = 0;
  let startedMs = 0;
  const waiting = () => print('Another ./holdfast is setting up in this checkout; waiting for it.');
  const steps: StepPlan[] = [
    ...start.before,
    {
      title: 'Services',
      run: (step) => {
        startedMs = Date.now();
        return start.services(step);
      },
    },
    { title: 'The link', run: () => restoreLink(context) },
    {
      title: 'The path, end to end',
      run: async (step) => {
        firstFrameMs = await provePath(context, start, startedMs, step);
        return 'a frame captured after the start is stored';
      },
    },
    ...(config.tls === '1'
      ? [{ title: 'TLS on the link', run: () => probeTls(config.linkPort, files) }]
      : []),
  ];
  try {
    await withLock('lab', waiting, context.signal, () => runSteps(steps), files);
  } catch (error) {
    throw error instanceof LabError ? hinted(error) : error;
  }
  for (const line of summary(context, name, firstFrameMs)) print(line);
}

function startInContainers(context: LabContext): Start {
  const { config, docker, programs } = context;
  const prepared: Prepared = {};
  return {
    before: [
      ...setupSteps(context, prepared),
      {
        title: 'Ports',
        run: async () => {
          const label = `com.docker.compose.project=${config.project}`;
          const own = new Set((await docker.containers([label])).map(({ name }) => name));
          refuseTakenPorts(await takenPorts(config, docker, own));
          const { apiPort, statusPort, linkPort, toxiproxyPort } = config;
          return [apiPort, statusPort, linkPort, toxiproxyPort].join(', ');
        },
      },
      {
        title: 'What chaos left',
        run: async () => {
          // Starting is for Compose, which may have to make them anew first.
          const { project } = config;
          return (await mend({ docker, project, starts: false })).join(', ') || 'nothing';
        },
      },
      noteSetup(context, prepared),
    ],
    services: async (step) => {
      noteGround(context.files, 'compose');
      await startServices(context, prepared, step);
      return 'server, toxiproxy, collector';
    },
    lastLines: async (service) => {
      const args = ['logs', '--no-color', '--tail', LOG_LINES_SHOWN, service];
      const options = { timeoutMs: 30_000 };
      const { compose } = prepared;
      return (await callCompose(programs, known(compose), config.project, args, options)).lastLines;
    },
  };
}

async function startServices(context: LabContext, prepared: Prepared, step: Step): Promise<void> {
  const result = await callCompose(
    context.programs,
    known(prepared.compose),
    context.config.project,
    ['up', '--detach', '--remove-orphans'],
    { timeoutMs: COMPOSE_TIMEOUT_MS, onLine: step.progress },
  );
  if (result.exitCode === 0) return;
  throw new LabError({
    code: 'command_failed',
    message: 'Compose could not start the services',
    details: result.lastLines,
    next: ['To see how they stand: make status', 'To see their logs: make logs'],
  });
}

/** Faults from an earlier run would make a new one look broken. */
async function restoreLink(context: LabContext): Promise<string> {
  const { signal } = context;
  const link = linkOfLab(context);
  const deadline = performance.now() + TOXIPROXY_TIMEOUT_MS;
  for (;;) {
    try {
      const state = await link.read();
      if (state.kind === 'whole') return 'whole';
      await link.restore();
      return `restored; an earlier run had left it ${describeLink(state)}`;
    } catch (error) {
      if (signal.aborted) throw interrupted();
      if (performance.now() > deadline) throw error;
    }
    await delay(POLL_MS);
  }
}

/** Milliseconds from `startedMs` until the proof. */
async function provePath(
  context: LabContext,
  start: Start,
  startedMs: number,
  step: Step,
): Promise<number> {
  const pipeline = new Pipeline(context.config);
  let newest: number | null = null;
  let deadline = performance.now() + PROGRESS_TIMEOUT_MS;
  for (;;) {
    const answer = await pipeline.newestStoredMs();
    if (answer.ok && answer.value !== null) {
      if (answer.value > startedMs) return Date.now() - startedMs;
      if (newest === null || answer.value > newest) {
        newest = answer.value;
        deadline = performance.now() + PROGRESS_TIMEOUT_MS;
        step.progress(`the backlog arrives: captured at ${new Date(newest).toISOString()}`);
      }
    }
    if (context.signal.aborted) throw interrupted();
    if (performance.now() > deadline) throw await unproven(context, start);
    await delay(POLL_MS);
  }
}

/** Says which station of the path is broken, and shows its log. */
async function unproven(context: LabContext, start: Start): Promise<LabError> {
  const { findings, suspect } = await examine(context);
  const lastLines = await start.lastLines(suspect);
  return new LabError({
    code: 'path_unproven',
    exitCode: EXIT.failed,
    message: `no new frame reached the store within ${PROGRESS_TIMEOUT_MS / 1000} s`,
    details: [...findings, `the last lines of ${suspect}:`, ...lastLines],
    next: [`Its whole log: ./holdfast logs ${suspect}`, 'Everything at a glance: make status'],
  });
}

/** The stations from end to beginning: the first that does not answer is the suspect. */
async function examine(context: LabContext): Promise<{ findings: string[]; suspect: string }> {
  const pipeline = new Pipeline(context.config);
  const findings: string[] = [];
  let suspect = 'collector';
  const status = await pipeline.collectorStatus();
  if (status.ok) {
    const { state, last_error: error, queue } = status.value;
    const why = error == null ? '' : `, last error ${error.code ?? ''} ${error.message ?? ''}`;
    findings.push(`collector: ${state}, ${queue?.frames ?? 0} frames in its queue${why}`);
  } else findings.push(`collector: ${status.reason}`);
  const server = await pipeline.serverReady();
  findings.push(`server: ${server.ok ? 'ready' : server.reason}`);
  try {
    findings.push(`toxiproxy: the link is ${describeLink(await linkOfLab(context).read())}`);
  } catch (error) {
    findings.push(`toxiproxy: ${(error as Error).message}`);
    suspect = 'toxiproxy';
  }
  if (!server.ok) suspect = 'server';
  if (!status.ok) suspect = 'collector';
  return { findings, suspect };
}

function summary({ config }: LabContext, name: GroundName, firstFrameMs: number): string[] {
  const api = `http://127.0.0.1:${config.apiPort}`;
  const seconds = (firstFrameMs / 1000).toFixed(1);
  return [
    '',
    `Running${name === 'process' ? ' as processes' : ''}. The first new frame was stored ${seconds} s after the start.`,
    ...(config.tls === '1' ? ['The link is TLS 1.3; make up without TLS=1 goes back.'] : []),
    '',
    `  ${api}/               the dashboard: what comes in, live`,
    `  ${api}/api/v1/audit   what is stored, pending and missing`,
    `  http://127.0.0.1:${config.statusPort}/status         the collector and its queue`,
    '',
    'Three things to try next:',
    `  1. open ${api}/, press Cut, then Restore, and watch the gap fill in`,
    `  2. make cut; curl -s ${api}/api/v1/audit; make restore; make status`,
    '  3. make chaos, which harms it in ten ways and judges what arrived',
    'To stop: make down (keeps the data)',
  ];
}
