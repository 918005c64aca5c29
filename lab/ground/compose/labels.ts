/**
 * How what chaos puts beside a lab is told from the lab's own: by label, so that anybody who comes
 * later (`heal`, `up`, `down`, `clean`) finds what a runner that died has left.
 */
import type { Docker } from '#lab/docker.ts';

/** launched: a program beside the services. helper: lends a hand inside a service for a moment. */
type Role = 'launched' | 'helper';

const KEY = 'dev.holdfast.chaos';
const PROJECT = 'dev.holdfast.project';
/** After SIGTERM; strace needs it to leave its program whole. */
const STOP_SECONDS = '5';

/** Options of `docker create` and `docker run`. */
export function labelled(project: string, role: Role): string[] {
  return ['--label', `${PROJECT}=${project}`, '--label', `${KEY}=${role}`];
}

/** Removes the containers that chaos put beside a lab, with their volumes; says what went. */
export async function sweepChaos(docker: Docker, project: string): Promise<string[]> {
  const labels = [`${PROJECT}=${project}`, KEY];
  const here = await docker.containers(labels);
  const helpers = new Set(
    (await docker.containers([...labels, `${KEY}=helper`])).map(({ id }) => id),
  );
  for (const { id } of here.filter((one) => helpers.has(one.id) && one.state === 'running')) {
    // One that has ended by now is what is wanted, so a refusal is none.
    await docker.command(['stop', '--time', STOP_SECONDS, id], { timeoutMs: 30_000 });
  }
  return docker.sweep(['container'], labels);
}

/** The same for every lab whose project's name begins so. */
export async function sweepChaosOf(docker: Docker, prefix: string): Promise<string[]> {
  const projects = await docker.valuesOf(PROJECT, [KEY]);
  const removed: string[] = [];
  for (const project of projects.filter((one) => one.startsWith(prefix))) {
    removed.push(...(await sweepChaos(docker, project)));
  }
  return removed;
}
