/**
 * What the commands of the collector program share: how their failures end the program. Each group
 * of commands lives in a file of its own beside this one and exports `add<Group>Commands`; `main.ts`
 * wires them and alone ends the process.
 *
 * Exit codes: 0 what was asked holds, 1 it doesn't, 2 usage, settings or bad input.
 */
import { CommanderError, Option } from 'commander';
import { COLLECTOR_SETTINGS } from '#collector/config.ts';
import { QueueError } from '#collector/producer/queue/errors.ts';
import { QueueToolError } from '#collector/tools/errors.ts';

export const EXIT = { held: 0, failed: 1, usage: 2 } as const;

/** Ends a command with words for whoever called it. They go to stderr, without a stack trace. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly exitCode: number;

  /** `failed`: what was asked does not hold. `usage`: it can't be done as it was asked. */
  constructor(kind: Exclude<keyof typeof EXIT, 'held'>, message: string) {
    super(message);
    this.exitCode = EXIT[kind];
  }
}

/** How the program ends over an error; undefined for one that is a mistake of ours. */
export function endingOf(
  error: unknown,
): { readonly exitCode: number; readonly message: string | undefined } | undefined {
  if (error instanceof CommanderError) {
    // Commander has said it already; 0 is that of --help.
    return { exitCode: error.exitCode === 0 ? EXIT.held : EXIT.usage, message: undefined };
  }
  if (error instanceof CommandError) return { exitCode: error.exitCode, message: error.message };
  if (error instanceof QueueToolError || error instanceof QueueError) {
    return { exitCode: EXIT.usage, message: error.message };
  }
  return undefined;
}

/** The one setting that the tools need; no token, for they talk to nobody. */
export function pathOption(): Option {
  const { name, default: usual } = COLLECTOR_SETTINGS.queuePath;
  return new Option('--path <directory>', "the queue's directory").env(name).default(usual);
}

/** For a collector whose id is configured, and so not kept with the queue. */
export function collectorOption(): Option {
  const { name } = COLLECTOR_SETTINGS.collectorId;
  return new Option('--collector <id>', "the collector's id, where it is configured").env(name);
}

export function jsonOption(): Option {
  return new Option('--json', 'for scripts: JSON, its names as stable as those of /status');
}
