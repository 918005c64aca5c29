/** `logs`: the services' logs, followed when a person watches, printed once otherwise. */
import { composeArguments, composeEnvironment, findCompose } from '#lab/compose.ts';
import { refuseWhatCannotBeMended } from '#lab/engine.ts';
import { EXIT, type ExitCode, LabError } from '#lab/errors.ts';
import { groundThatIsThere } from '#lab/ground/choose.ts';
import { processLogs } from '#lab/ground/process/look.ts';
import { PATHS } from '#lab/paths.ts';
import type { LabContext } from '#lab/setup.ts';
import { readLabEnvironment } from '#lab/state.ts';

const LINES = '200';

/** @throws LabError when the lab was never set up, or Compose is not here. */
export async function logs(
  services: readonly string[],
  context: LabContext,
  print: (line: string) => void,
): Promise<ExitCode> {
  const { config, docker, files, programs } = context;
  if (groundThatIsThere(config.ground, files) === 'process') {
    return processLogs(services, context, print);
  }
  refuseWhatCannotBeMended(await docker.probe());
  const compose = await findCompose(programs);
  if (compose === null || readLabEnvironment() === null) {
    throw new LabError({
      code: 'compose_missing',
      exitCode: EXIT.usage,
      message: 'the lab is not set up here, so it has no logs',
      next: ['To start it: make up'],
    });
  }
  const follow = process.stdout.isTTY ? ['--follow'] : ['--no-color'];
  const args = [...composeArguments(compose, config.project), 'logs', ...follow];
  const exitCode = await programs.onTerminal(
    compose.file,
    [...args, '--tail', LINES, ...services],
    {
      cwd: PATHS.root,
      env: composeEnvironment(),
    },
  );
  // Following ends with Ctrl-C; that is how it is meant to end.
  return exitCode === 0 || context.signal.aborted ? EXIT.held : EXIT.failed;
}
