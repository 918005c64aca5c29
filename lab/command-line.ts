/** What the programs with many commands share of their command lines. */
import { InvalidArgumentError } from 'commander';
import type { ExitCode } from '#lab/errors.ts';

/** For Commander: a command whose answer is the exit code that the process ends with. */
export function ending<Args extends unknown[]>(
  command: (...args: Args) => Promise<ExitCode>,
): (...args: Args) => Promise<void> {
  return async (...args) => {
    process.exitCode = await command(...args);
  };
}

/** For Commander: reads an option's value. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`must be a whole number from ${min} to ${max}.`);
  };
}
