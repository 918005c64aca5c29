/**
 * A peer's configuration file, kept as the lines that the report prints: what is known only once it
 * runs, such as a port, stands in angle brackets.
 */
import { BenchError } from '../errors.ts';

/** The file's text. Throws BenchError on a name in brackets that has no value. */
export function configured(
  lines: readonly string[],
  values: Readonly<Record<string, string | number>>,
): string {
  const filled = lines.map((line) =>
    line.replaceAll(/<([a-z ]+)>/g, (_, name: string) => {
      const value = values[name];
      if (value === undefined)
        throw new BenchError(`a setting has no value for <${name}>: ${line}`);
      return String(value);
    }),
  );
  return `${filled.join('\n')}\n`;
}

/** Both ends' lines as the report prints them. */
export function printed(edge: readonly string[], central: readonly string[]): readonly string[] {
  return [...edge.map((line) => `edge: ${line}`), ...central.map((line) => `central: ${line}`)];
}
