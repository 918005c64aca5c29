/**
 * `down` and `clean`: the services stopped, with or without their data. Both work from Compose
 * where it is here, and by label where it is not, and neither minds that there is nothing to do.
 */
import { rmSync } from 'node:fs';
import { callCompose, findCompose } from '#lab/compose.ts';
import { refuseWhatCannotBeMended } from '#lab/engine.ts';
import { EXIT, LabError } from '#lab/errors.ts';
import { APP_LABEL } from '#lab/images.ts';
import { type LockName, withLock } from '#lab/lock.ts';
import { CHECKOUT, PATHS } from '#lab/paths.ts';
import type { LabContext } from '#lab/setup.ts';
import { readLabEnvironment } from '#lab/state.ts';

const STOP_TIMEOUT_MS = 120_000;
/** Carried by whatever the integration tests of this checkout start. */
const TEST_LABEL = `dev.holdfast.test=${CHECKOUT}`;

/** Stops and removes the services and their networks; queue and store stay. */
export async function down(context: LabContext, print: (line: string) => void): Promise<void> {
  if (!(await engineAnswers(context, print))) return;
  const { project } = context.config;
  await alone(['lab'], context, print, () => stopServices(context, project));
  print('Stopped. The queue and the store are kept (make clean drops them); make up goes on.');
}

/** Stops all, removes data, secret, images and whatever a killed test run left; says what went. */
export async function clean(context: LabContext, print: (line: string) => void): Promise<void> {
  const answers = await engineAnswers(context, print);
  await alone(['lab', 'tests'], context, print, async () => {
    const removed = answers ? await removeAll(context) : [];
    for (const what of removed) print(`removed ${what}`);
    const made = readLabEnvironment()?.HOLDFAST_PROJECT ?? context.config.project;
    // The state of this checkout belongs to the lab that was set up last, which may be another.
    if (made !== context.config.project) return;
    rmSync(PATHS.state, { recursive: true, force: true });
    print('removed .lab/ (the shared secret, certificates, and what set-up had chosen)');
  });
  print('Kept: the base and Toxiproxy images, .tools/ and node_modules/, which only cost time.');
}

async function removeAll(context: LabContext): Promise<string[]> {
  const { project } = context.config;
  await stopServices(context, project);
  const kinds = ['container', 'network', 'volume'] as const;
  return [
    ...(await context.docker.sweep(kinds, [`dev.holdfast.project=${project}`])),
    ...(await sweepTests(context)),
    ...(await context.docker.sweep(['image'], [APP_LABEL])),
  ];
}

/** Not in the middle of another command's set-up, or test run. */
function alone(
  [lock, ...locks]: readonly LockName[],
  context: LabContext,
  print: (line: string) => void,
  work: () => Promise<void>,
): Promise<void> {
  const waiting = () => print('Another ./holdfast is at work in this checkout; waiting for it.');
  if (lock === undefined) return work();
  return withLock(lock, waiting, context.signal, () => alone(locks, context, print, work));
}

/** Removes what an integration run left behind, networks of the same session included. */
export async function sweepTests({ docker }: LabContext): Promise<string[]> {
  const sessions = await docker.testSessions(TEST_LABEL);
  const removed = await docker.sweep(['container', 'volume'], [TEST_LABEL]);
  for (const session of sessions) {
    const label = `org.testcontainers.session-id=${session}`;
    removed.push(...(await docker.sweep(['network'], [label])));
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
