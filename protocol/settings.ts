/**
 * Settings of a program: one table, read once from the environment.
 *
 * Lives here: what a setting is, reading a table of them with every mistake reported at once, and
 * the same table as text for people (`--print-config`, docs/configuration.md). Not here: which
 * settings exist (each program's `config.ts`) and who reads the environment (its `main.ts`).
 *
 * Invariants: an empty variable counts as not set; a secret's value appears in no message and no
 * table; a secret may stand in a file named by `NAME_FILE` instead.
 */
import { z } from 'zod';

export interface Setting<T> {
  /** The variable's name. */
  readonly name: string;
  /** What it sets, in one sentence, unit included. */
  readonly text: string;
  /** What is legal, in words that follow "must be". */
  readonly rule: string;
  /** The value as text when the variable isn't set; undefined where one must be given. */
  readonly default: string | undefined;
  /** From the variable's text to the value; its failure is reported as `rule`. */
  readonly schema: z.ZodType<T, string>;
  readonly secret?: boolean;
  /** May be left out; the value is then undefined. */
  readonly optional?: boolean;
}

export type SettingsTable = Readonly<Record<string, Setting<unknown>>>;

export type Settings<Table extends SettingsTable> = {
  readonly [Key in keyof Table]: Table[Key] extends Setting<infer T> ? T : never;
};

export type Environment = Readonly<Record<string, string | undefined>>;

export interface SettingProblem {
  readonly name: string;
  readonly rule: string;
  /** What was found instead, masked where it is a secret. */
  readonly got: string;
}

/** Settings that can't be used. The message lists all of them, one a line. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
  readonly code = 'settings';
  readonly problems: readonly SettingProblem[];

  constructor(problems: readonly SettingProblem[]) {
    const lines = problems.map(({ name, rule, got }) => `  ${name} must be ${rule}; got ${got}`);
    super(`bad settings, nothing was started:\n${lines.join('\n')}`);
    this.problems = problems;
  }
}

interface About {
  readonly name: string;
  readonly text: string;
}

export function integerSetting(
  about: About & { readonly default: number; readonly min: number; readonly max: number },
): Setting<number> {
  const { min, max } = about;
  return {
    ...about,
    default: String(about.default),
    rule: `a whole number from ${min} to ${max}`,
    schema: z.string().regex(/^\d+$/).transform(Number).pipe(z.number().min(min).max(max)),
  };
}

export function textSetting(
  about: About & { readonly default: string; readonly rule?: string; readonly pattern?: RegExp },
): Setting<string> {
  return {
    ...about,
    rule: about.rule ?? 'a text',
    schema: z.string().regex(about.pattern ?? /./),
  };
}

/** A text that may be left out. */
export function optionalTextSetting(
  about: About & { readonly rule: string; readonly pattern: RegExp },
): Setting<string | undefined> {
  return { ...about, default: undefined, optional: true, schema: z.string().regex(about.pattern) };
}

export function choiceSetting<const Choice extends string>(
  about: About & { readonly default: Choice; readonly choices: readonly Choice[] },
): Setting<Choice> {
  return {
    ...about,
    rule: `one of ${about.choices.join(', ')}`,
    schema: z.enum(about.choices) as unknown as z.ZodType<Choice, string>,
  };
}

/** Bytes that nobody else may know; line ends at the end are not part of them. */
export function secretSetting(about: About & { readonly bytesMin: number }): Setting<Buffer> {
  return {
    ...about,
    default: undefined,
    secret: true,
    rule: `at least ${about.bytesMin} bytes, here or in the file that ${about.name}_FILE names`,
    schema: z
      .string()
      .transform((text) => Buffer.from(text.replace(/[\r\n]+$/, '')))
      .refine((bytes) => bytes.length >= about.bytesMin),
  };
}

/** The same, where it may be left out. */
export function optionalSecretSetting(
  about: About & { readonly bytesMin: number },
): Setting<Buffer | undefined> {
  return { ...secretSetting(about), optional: true };
}

/**
 * Reads all settings of a table. `readFile` gives the text of a secret's file.
 * Throws SettingsError that names every setting that is wrong.
 */
export function readSettings<Table extends SettingsTable>(
  table: Table,
  environment: Environment,
  readFile: (path: string) => string,
): Settings<Table> {
  const problems: SettingProblem[] = [];
  const values: Record<string, unknown> = {};
  for (const [key, setting] of Object.entries(table)) {
    const found = textOf(setting, environment, readFile);
    if ('problem' in found) {
      problems.push({ name: setting.name, rule: setting.rule, got: found.problem });
      continue;
    }
    if (found.text === undefined && setting.optional) continue;
    const parsed = setting.schema.safeParse(found.text);
    if (parsed.success) values[key] = parsed.data;
    else problems.push({ name: setting.name, rule: setting.rule, got: gotOf(setting, found.text) });
  }
  if (problems.length > 0) throw new SettingsError(problems);
  return values as Settings<Table>;
}

/** One line of {@link describeSettings}. */
export interface SettingRow {
  readonly name: string;
  readonly value: string;
  readonly source: 'environment' | 'file' | 'default';
}

/** What is in force, secrets masked; for settings that {@link readSettings} has taken. */
export function settingsInForce(table: SettingsTable, environment: Environment): SettingRow[] {
  return Object.values(table).map((setting) => {
    const { name } = setting;
    const file = setting.secret ? given(environment, `${name}_FILE`) : undefined;
    if (file !== undefined) return { name, value: `(from ${file})`, source: 'file' };
    const text = given(environment, name);
    const value = text ?? setting.default ?? '(not set)';
    return {
      name,
      value: text !== undefined && setting.secret ? masked(text) : value,
      source: text === undefined ? 'default' : 'environment',
    };
  });
}

/** Columns for a terminal. */
export function formatSettings(rows: readonly SettingRow[]): string {
  const nameWidth = Math.max(...rows.map((row) => row.name.length));
  const valueWidth = Math.max(...rows.map((row) => row.value.length));
  return rows
    .map((row) => `${row.name.padEnd(nameWidth)}  ${row.value.padEnd(valueWidth)}  ${row.source}`)
    .join('\n');
}

/** The table as Markdown, for docs/configuration.md. */
export function settingsMarkdown(table: SettingsTable): string {
  const rows = Object.values(table).map((setting) => {
    const name = setting.secret
      ? `\`${setting.name}\`, \`${setting.name}_FILE\``
      : `\`${setting.name}\``;
    const fallback = setting.default ?? (setting.optional ? '–' : 'required');
    return `| ${name} | ${setting.text} | ${setting.rule} | ${fallback} |`;
  });
  return ['| variable | what it sets | must be | default |', '|---|---|---|---|', ...rows].join(
    '\n',
  );
}

function textOf(
  setting: Setting<unknown>,
  environment: Environment,
  readFile: (path: string) => string,
): { text: string | undefined } | { problem: string } {
  const text = given(environment, setting.name);
  const file = setting.secret ? given(environment, `${setting.name}_FILE`) : undefined;
  if (file === undefined) return { text: text ?? setting.default };
  if (text !== undefined) return { problem: `both it and ${setting.name}_FILE` };
  try {
    return { text: readFile(file) };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { problem: `a file that can't be read (${reason})` };
  }
}

function given(environment: Environment, name: string): string | undefined {
  const text = environment[name];
  return text === '' ? undefined : text;
}

function gotOf(setting: Setting<unknown>, text: string | undefined): string {
  if (text === undefined) return 'nothing';
  return setting.secret ? masked(text) : JSON.stringify(text);
}

function masked(text: string): string {
  return `*** (${Buffer.byteLength(text.trimEnd())} bytes)`;
}
