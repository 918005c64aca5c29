/** The services of the lab that runs here, whatever it runs on, and that none does. */
import { refuseWhatCannotBeMended } from '#lab/engine.ts';
import { EXIT, LabError } from '#lab/errors.ts';
import { groundThatIsThere } from '#lab/ground/choose.ts';
import { type ServiceLine, serviceLines } from '#lab/ground/process/look.ts';
import type { LabContext } from '#lab/setup.ts';

/**
 * Null when there are none.
 * @throws LabError for an engine that only a person can bring to answer.
 */
export function servicesThere(context: LabContext): Promise<ServiceLine[] | null> {
  const isProcess = groundThatIsThere(context.config.ground, context.files) === 'process';
  return isProcess ? serviceLines(context.files) : containerLines(context);
}

/** What cannot be done, or be told, because nothing runs. */
export function noLab(cause?: unknown): LabError {
  return new LabError({
    code: 'lab_missing',
    exitCode: EXIT.usage,
    message: 'the lab is not running',
    next: ['To start it: make up'],
    cause,
  });
}

async function containerLines({ config, docker }: LabContext): Promise<ServiceLine[] | null> {
  const probe = await docker.probe();
  if (probe.kind !== 'ready') {
    refuseWhatCannotBeMended(probe);
    return null;
  }
  const containers = await docker.containers([`com.docker.compose.project=${config.project}`]);
  const lines = containers.map(({ service, state, status: words }) => ({
    service,
    running: state === 'running',
    words,
  }));
  return lines.length === 0 ? null : lines;
}
