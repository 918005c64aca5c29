/**
 * Which ground a command means: the one that HOLDFAST_GROUND names, else what runs in this checkout,
 * else what the last `up` chose, whose data is there, else containers; and, where no Docker engine
 * can be had, processes, having said so. One ground at a time: both have the same ports.
 */
import { existsSync, readFileSync } from 'node:fs';
import type { LabConfig } from '#lab/config.ts';
import { engineRefusal, whyNoEngine } from '#lab/engine.ts';
import { EXIT, LabError } from '#lab/errors.ts';
import { tryHold } from '#lab/lock.ts';
import type { LabFiles } from '#lab/paths.ts';
import type { LabContext } from '#lab/setup.ts';
import { writeWhole } from '#lab/state.ts';
import { lockPath } from './process/place.ts';
import { markedWith } from './process/proc.ts';

export type GroundName = NonNullable<LabConfig['ground']>;

const OTHERWISE = '(In containers: make down, then HOLDFAST_GROUND=compose make up.)';
const WITHOUT_ENGINE = 'Without an engine: HOLDFAST_GROUND=process make up';

/** For commands on a lab that is there, or was. */
export function groundThatIsThere(named: GroundName | undefined, files: LabFiles): GroundName {
  if (named !== undefined) return named;
  if (processesRun(files)) return 'process';
  return notedGround(files) ?? 'compose';
}

/**
 * For `up`: says what it chose where nobody has told it.
 * @throws LabError `ground_busy` when the lab runs on the other ground, and for an engine that only
 *   a person can bring to answer.
 */
export async function groundToSetUp(
  { config, docker, files }: LabContext,
  print: (line: string) => void,
): Promise<GroundName> {
  if (processesRun(files)) {
    if (config.ground === 'compose') throw busy('as processes');
    if (config.ground === undefined)
      print(`The lab runs as processes, and goes on so. ${OTHERWISE}`);
    return 'process';
  }
  if (config.ground === 'compose') return 'compose';
  const noted = notedGround(files);
  if (config.ground === undefined && noted === 'process') {
    print(`The lab ran as processes, and goes on so. ${OTHERWISE}`);
    return 'process';
  }
  const probe = await docker.probe();
  if (config.ground === undefined) {
    const why = whyNoEngine(probe, config);
    if (why !== null) {
      print(`${why}: the lab runs as processes on loopback instead.`);
      print(
        '(HOLDFAST_GROUND=process asks for that; HOLDFAST_GROUND=compose insists on an engine.)',
      );
      return 'process';
    }
    const refusal = engineRefusal(probe);
    if (refusal !== null) throw hinted(refusal);
    return 'compose';
  }
  const label = `com.docker.compose.project=${config.project}`;
  if (probe.kind === 'ready' && noted === 'compose') {
    const running = await docker.containers([label]);
    if (running.length > 0) throw busy('in containers');
  }
  return 'process';
}

/** Names the other ground where an engine is what is missing. */
export function hinted(error: LabError): LabError {
  if (!/^(engine_|install_)/.test(error.code) || process.platform !== 'linux') return error;
  const { code, exitCode, message, details, next, cause } = error;
  return new LabError({
    ...{ code, exitCode, message, details, cause },
    next: [...next, WITHOUT_ENGINE],
  });
}

/** Whether there are any, with a supervisor or left behind by one. */
function processesRun({ process: folder }: LabFiles): boolean {
  if (process.platform !== 'linux' || !existsSync(folder)) return false;
  const lock = tryHold(lockPath(folder));
  lock?.release();
  return lock === null || markedWith(folder).length > 0;
}

export function noteGround({ ground: path }: LabFiles, ground: GroundName): void {
  writeWhole(path, `${ground}\n`, 0o644);
}

function notedGround({ ground: path }: LabFiles): GroundName | null {
  if (!existsSync(path)) return null;
  return readFileSync(path, 'utf8').trim() === 'process' ? 'process' : 'compose';
}

function busy(how: string): LabError {
  return new LabError({
    code: 'ground_busy',
    exitCode: EXIT.usage,
    message: `the lab runs ${how} here already; it has one ground at a time`,
    next: ['make down keeps queue and store, each ground its own; then run this again'],
  });
}
