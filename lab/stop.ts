/**
 * `down` and `clean`: the services stopped, with or without their data. Both work from Compose
 * where it is here, and by label where it is not, and neither minds that there is nothing to do.
 */
import { rmSync } from 'node:fs';
import { callCompose, findCompose } from '#lab/compose.ts';
import { refuseWhatCannotBeMended } from '#lab/engine.ts';
import { EXIT, LabError } from '#lab/errors.ts';
import { groundThatIsThere } from '#lab/ground/choose.ts';
import { sweepChaos, sweepChaosOf } from '#lab/ground/compose/labels.ts';
import { stopProcesses } from '#lab/ground/process/stop.ts';
import { APP_LABEL } from '#lab/images.ts';
import { type LockName, withLock } from '#lab/lock.ts';
import { CHECKOUT } from '#lab/paths.ts';
import type { LabContext } from '#lab/setup.ts';
import { readLabEnvironment } from '#lab/state.ts';

const STOP_TIMEOUT_MS = 120_000;
const STOPPED =
  'Stopped. The queue and the store are kept (make clean drops them); make up goes on.';
/** In the order in which they let go of each other. */
const KINDS = ['container', 'network', 'volume'] as const;
/** Carried by whatever the integration tests of this checkout start. */
const TEST_LABEL = `dev.holdfast.test=${CHECKOUT}`;
/** On all that one run of testcontainers makes. */
const TESTCONTAINERS = 'org.testcontainers.session-id';
/** The Compose project of the lab that they start; those of their stacks begin so. */
export const TEST_PROJECT = `holdfast-test-${CHECKOUT}`;

/** Stops and removes the services and their networks; queue and store stay. */
export async function down(context: LabContext, print: (line: string) => void): Promise<void> {
  const { config, files } = context;
  if (groundThatIsThere(config.ground, files) === 'process') {
    const ran = await alone(['lab'], context, print, () => stopProcesses(files));
    print(ran ? STOPPED : 'The lab is not running, as processes.');
    return;
  }
  if (!(await engineAnswers(context, print))) return;
  await alone(['lab'], context, print, () => stopServices(context, config.project));
  print(STOPPED);
}

/** Stops all, removes data, secret, images and whatever a killed test run left; says what went. */
export async function clean(context: LabContext, print: (line: string) => void): Promise<void> {
  const { files } = context;
  const isProcess = groundThatIsThere(context.config.ground, files) === 'process';
  const probe = await context.docker.probe();
  // A lab that needs no engine can be dropped whatever is the matter with one.
  const answers = isProcess ? probe.kind === 'ready' : await engineAnswers(context, print);
  await alone(['lab', 'tests'], context, print, async () => {
    if (await stopProcesses(files)) print('removed the processes of the lab');
    const removed = answers ? await removeAll(context) : [];
    for (const what of removed) print(`removed ${what}`);
    const made = isProcess ? null : readLabEnvironment()?.HOLDFAST_PROJECT;
    // The state of this checkout belongs to the lab that was set up last, which may be another.
    if (made != null && made !== context.config.project) return;
    rmSync(files.state, { recursive: true, force: true });
    print(
      'removed .lab/ (the shared secret, certificates, what set-up had chosen, and what the lab had as processes)',
    );
  });
  print('Kept: the base and Toxiproxy images, .tools/ and node_modules/, which only cost time.');
}

async function removeAll(context: LabContext): Promise<string[]> {
  const { project } = context.config;
  await stopServices(context, project);
  return [
    ...(await context.docker.sweep(KINDS, [`dev.holdfast.project=${project}`])),
    ...(await sweepTests(context)),
    ...(await context.docker.sweep(['image'], [APP_LABEL])),
  ];
}

/** Not in the middle of another command's set-up, or test run. */
function alone<T>(
  [lock, ...locks]: readonly LockName[],
  context: LabContext,
  print: (line: string) => void,
  work: () => Promise<T>,
): Promise<T> {
  const waiting = () => print('Another ./holdfast is at work in this checkout; waiting for it.');
  if (lock === undefined) return work();
  const rest = () => alone(locks, context, print, work);
  return withLock(lock, waiting, context.signal, rest, context.files);
}

/** Removes what an integration run left behind, networks of the same session included. */
export async function sweepTests({ docker }: LabContext): Promise<string[]> {
  const sessions = await docker.valuesOf(TESTCONTAINERS, [TEST_LABEL]);
  const removed = await sweepChaosOf(docker, TEST_PROJECT);
  removed.push(...(await docker.sweep(['container', 'volume'], [TEST_LABEL])));
  removed.push(...(await docker.sweep(KINDS, [`dev.holdfast.project=${TEST_PROJECT}`])));
  for (const session of sessions) {
    removed.push(...(await docker.sweep(['network'], [`${TESTCONTAINERS}=${session}`])));
  }
  // Networks carry no label of ours, so one whose containers went before it is told by its age.
  await docker.pruneTestNetworks();
  return removed;
}

/** False, having said so, when no engine answers: then there is nothing that could be stopped. */
async function engineAnswers(
  { docker }: LabContext,
  print: (line: string) => void,
): Promise<boolean> {
  const probe = await docker.probe();
  if (probe.kind === 'ready') return true;
  if (probe.kind === 'denied' || (probe.kind === 'silent' && probe.elsewhere !== null)) {
    refuseWhatCannotBeMended(probe);
  }
  print('No Docker engine answers here, so there is nothing to stop.');
  return false;
}

async function stopServices(context: LabContext, project: string): Promise<void> {
  const { docker, programs } = context;
  // What a chaos run that died has left would keep the networks in use.
  await sweepChaos(docker, project);
  const compose = await findCompose(programs);
  if (compose === null || readLabEnvironment() === null) {
    const labels = [`dev.holdfast.project=${project}`];
    await docker.sweep(['container', 'network'], labels);
    return;
  }
  const args = ['down', '--remove-orphans'];
  const result = await callCompose(programs, compose, project, args, {
    timeoutMs: STOP_TIMEOUT_MS,
  });
  if (result.exitCode === 0) return;
  throw new LabError({
    code: 'command_failed',
    exitCode: EXIT.failed,
    message: 'Compose could not stop the services',
    details: result.lastLines,
    next: ['To see how they stand: make status'],
  });
}
