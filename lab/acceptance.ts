/**
 * `acceptance`: the tour that the README gives a newcomer, in one go and judged: up, frames flow,
 * cut, silent since then with nothing missing, back (slow at first, so that the backlog can be
 * watched: whole, it drains between two looks), pending rises and falls to 0 with nothing missing
 * at any time, down. It drives the same ./holdfast commands as a person would, and reads
 * only what the pipeline itself publishes. Each check counts; none is skipped quietly.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { add, type Counts, closingLine, held, NOTHING } from '#lab/counts.ts';
import { EXIT, type ExitCode, interrupted } from '#lab/errors.ts';
import { PATHS } from '#lab/paths.ts';
import { type AuditedCollector, Pipeline } from '#lab/pipeline.ts';
import type { LabContext } from '#lab/setup.ts';

const UP_TIMEOUT_MS = 1_800_000;
const COMMAND_TIMEOUT_MS = 180_000;
const CHECK_TIMEOUT_MS = 60_000;
const POLL_MS = 100;
/** Frames that the cut must hold back before it is ended: enough for the backlog to be seen. */
const BACKLOG_FRAMES = 8;
/** A second in each direction: the backlog is pending for two before its first ack can come. */
const SLOWNESS = { LATENCY_MS: '1000', RATE_KBPS: '1000' };

/**
 * Runs the tour and prints each check and the closing line, which adds the counts of an earlier
 * test run when `addResult` is true (test-output/result.json).
 */
export async function acceptance(
  options: { addResult: boolean },
  context: LabContext,
  print: (line: string) => void,
): Promise<ExitCode> {
  const tour = new Tour(context, print);
  try {
    await tour.run();
  } finally {
    await tour.command('down', COMMAND_TIMEOUT_MS);
  }
  const total = options.addResult ? add(tour.counts, readResult()) : tour.counts;
  print('');
  print(closingLine(total));
  return held(total) ? EXIT.held : EXIT.failed;
}

/** What the test run before this one counted; a run that left nothing counts as one failure. */
function readResult(): Counts {
  try {
    const text = readFileSync(join(PATHS.results, 'result.json'), 'utf8');
    const { passed, failed, skipped } = JSON.parse(text) as Counts;
    return { passed, failed, skipped };
  } catch {
    return { ...NOTHING, failed: 1 };
  }
}

class Tour {
  counts: Counts = NOTHING;
  readonly #context: LabContext;
  readonly #print: (line: string) => void;
  readonly #pipeline: Pipeline;
  #missingSeen = 0;

  constructor(context: LabContext, print: (line: string) => void) {
    this.#context = context;
    this.#print = print;
    this.#pipeline = new Pipeline(context.config);
  }

  async run(): Promise<void> {
    if (!(await this.command('up', UP_TIMEOUT_MS))) return;
    await this.#check('frames flow: the stored count rises', async () => {
      const before = (await this.#audited())?.totals.stored ?? 0;
      return this.#until(({ totals }) => totals.stored > before);
    });
    if (!(await this.command('cut', COMMAND_TIMEOUT_MS))) return;
    const cutAtMs = Date.now();
    await this.#check('the audit shows the collector silent since the cut', () =>
      this.#until(({ silent_since: since }) => since !== null && near(since, cutAtMs)),
    );
    await this.#check('the collector goes on capturing into its queue', () =>
      this.#untilQueued(BACKLOG_FRAMES),
    );
    await this.#check('nothing is missing while it is silent', async () => {
      const audited = await this.#audited();
      return audited?.totals.missing === 0;
    });
    if (!(await this.command('slow', COMMAND_TIMEOUT_MS, SLOWNESS))) return;
    await this.#check('the backlog is announced: pending rises', () =>
      this.#until(({ totals }) => totals.pending > 0),
    );
    if (!(await this.command('restore', COMMAND_TIMEOUT_MS))) return;
    await this.#check('the backlog drains: pending falls to 0', () =>
      this.#until(({ totals, connected }) => connected && totals.pending === 0),
    );
    await this.#check('a frame captured after the restore is stored', () => this.#untilNewer());
    await this.#check('nothing was missing at any time', async () => this.#missingSeen === 0);
  }

  /** One ./holdfast command as its own check; its output is shown when it fails. */
  command(
    name: string,
    timeoutMs: number,
    env: Readonly<Record<string, string>> = {},
  ): Promise<boolean> {
    return this.#check(`make ${name}`, async () => {
      const { programs } = this.#context;
      const result = await programs.run('make', ['--no-print-directory', name], {
        cwd: PATHS.root,
        timeoutMs,
        env,
        onLine: (line) => this.#print(`    ${line}`),
      });
      return result.exitCode === 0;
    });
  }

  async #check(name: string, body: () => Promise<boolean>): Promise<boolean> {
    const passed = await body();
    if (this.#context.signal.aborted) throw interrupted();
    this.counts = add(this.counts, { ...NOTHING, passed: passed ? 1 : 0, failed: passed ? 0 : 1 });
    this.#print(`${passed ? '✓' : '✗'} ${name}`);
    if (!passed) this.#print(`    the audit now: ${JSON.stringify(await this.#audited())}`);
    return passed;
  }

  /** The collector of this lab, each look remembered: what is missing once stays counted. */
  async #audited(): Promise<AuditedCollector | null> {
    const [answer, status] = await Promise.all([
      this.#pipeline.audit(),
      this.#pipeline.collectorStatus(),
    ]);
    if (!answer.ok || !status.ok) return null;
    const audited = answer.value.find((one) => one.collector === status.value.collector) ?? null;
    if (audited !== null) {
      this.#missingSeen += audited.totals.missing;
    }
    return audited;
  }

  #until(holds: (audited: AuditedCollector) => boolean): Promise<boolean> {
    return this.#poll(async () => {
      const audited = await this.#audited();
      return audited !== null && holds(audited);
    });
  }

  #untilQueued(frames: number): Promise<boolean> {
    return this.#poll(async () => {
      const status = await this.#pipeline.collectorStatus();
      return status.ok && (status.value.queue?.frames ?? 0) >= frames;
    });
  }

  #untilNewer(): Promise<boolean> {
    const fromMs = Date.now();
    return this.#poll(async () => {
      const newest = await this.#pipeline.newestStoredMs();
      return newest.ok && newest.value !== null && newest.value > fromMs;
    });
  }

  async #poll(holds: () => Promise<boolean>): Promise<boolean> {
    const deadline = performance.now() + CHECK_TIMEOUT_MS;
    while (performance.now() < deadline) {
      if (this.#context.signal.aborted) throw interrupted();
      if (await holds()) return true;
      await delay(POLL_MS);
    }
    return false;
  }
}

/** Silence begins with the last word heard, which a heartbeat a second puts just before the cut. */
function near(silentSince: string, cutAtMs: number): boolean {
  return Math.abs(Date.parse(silentSince) - cutAtMs) < CHECK_TIMEOUT_MS;
}
