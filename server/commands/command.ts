/**
 * What the commands of the server program share: the settings that each needs, and how their
 * failures end the program. Each group of commands lives in a file of its own beside this one and
 * exports `add<Group>Commands`; `main.ts` wires them and alone ends the process.
 *
 * Exit codes: 0 what was asked holds, 1 it doesn't, 2 usage, settings or bad input.
 */
import { CommanderError } from 'commander';
import { type Environment, readSettings, SettingsError } from '#protocol/settings.ts';
import { SERVER_SETTINGS, type ServerSettings } from '#server/config.ts';
import { StoreError, type StoreErrorCode } from '#server/store/store.ts';

export const EXIT = { held: 0, failed: 1, usage: 2 } as const;

/** What a command works with; `main.ts` gives the real one. */
export interface CommandContext {
  readonly environment: Environment;
  readonly readFile: (path: string) => string;
}

/** Ends a command with words for whoever called it. They go to stderr, without a stack trace. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly exitCode: number;

  /** `failed`: what was asked does not hold. `usage`: it can't be done as it was asked. */
  constructor(kind: Exclude<keyof typeof EXIT, 'held'>, message: string, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = EXIT[kind];
  }
}

/** Reads these settings and no others: a command needs no token that it doesn't use. */
export function readSettingsOf<Key extends keyof ServerSettings>(
  { environment, readFile }: CommandContext,
  ...keys: readonly Key[]
): Pick<ServerSettings, Key> {
  const table = Object.fromEntries(keys.map((key) => [key, SERVER_SETTINGS[key]]));
  return readSettings(table, environment, readFile) as Pick<ServerSettings, Key>;
}

/** How the program ends over an error; undefined for one that is a mistake of ours. */
export function endingOf(
  error: unknown,
): { readonly exitCode: number; readonly message: string | undefined } | undefined {
  if (error instanceof CommanderError) {
    // Commander has said it already; 0 is that of --help and --version.
    return { exitCode: error.exitCode === 0 ? EXIT.held : EXIT.usage, message: undefined };
  }
  if (error instanceof CommandError) return { exitCode: error.exitCode, message: error.message };
  if (error instanceof SettingsError) return { exitCode: EXIT.usage, message: error.message };
  if (error instanceof StoreError && error.code !== 'internal') {
    return { exitCode: exitCodeOf(error), message: error.message };
  }
  return undefined;
}

/**
 * `usage` where the store that was named is not one that can be worked on, or not while another
 * program does: a person has to change something first. The others are failures of one that can.
 */
export function exitCodeOf({ code }: StoreError): number {
  return UNUSABLE.has(code) ? EXIT.usage : EXIT.failed;
}

const UNUSABLE: ReadonlySet<StoreErrorCode> = new Set(['path', 'foreign', 'newer', 'busy']);
