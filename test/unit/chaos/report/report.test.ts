/** The report of a run and its recheck, on forged folders: what they say, and what they withstand. */
import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { type Report, reportSchema } from '#chaos/report/document.ts';
import { FolderError } from '#chaos/report/folder.ts';
import { recheck } from '#chaos/report/recheck.ts';
import { writeReport } from '#chaos/report/write.ts';
import type { RunRecord } from '#chaos/run/records.ts';
import { duration } from '#pages/figures.ts';
import { type ForgedFault, type ForgedScenario, forgeRun } from './forged-run.ts';

const CUT: ForgedFault = { name: 'cut', target: 'link', from_s: 1, to_s: 3 };
const HELD: ForgedScenario = {
  name: 'cut',
  title: 'The link is cut',
  frames: 1_000,
  faults: [CUT],
};
const LOSSY: ForgedScenario = { ...HELD, name: 'lossy', title: 'A loss', lost: [300, 301, 700] };
const TOOTHLESS: ForgedScenario = { ...HELD, name: 'toothless', faults: [{ ...CUT, bit: false }] };
const LEFT_OUT: ForgedScenario = {
  name: 'disk-full',
  title: 'A full disk',
  frames: 0,
  outcome: 'not_run',
  reason: 'needs a disk of its own',
};

const folders: string[] = [];

function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-report-'));
  folders.push(folder);
  return folder;
}

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

async function forged(
  scenarios: readonly ForgedScenario[],
  more: Partial<RunRecord> = {},
): Promise<string> {
  const folder = scratch();
  await forgeRun(folder, scenarios, more);
  return folder;
}

const read = (folder: string, ...path: string[]) => readFileSync(join(folder, ...path), 'utf8');
const readReport = (folder: string): Report => JSON.parse(read(folder, 'report.json'));

/** Runs a recheck and answers its exit code and what it printed. */
async function again(folder: string): Promise<{ code: number; text: string }> {
  const lines: string[] = [];
  const code = await recheck(folder, (line) => lines.push(line));
  return { code, text: lines.join('\n') };
}

test('report.json has the figures of each result.json, in the form that its schema says', async () => {
  const folder = await forged([HELD, LOSSY, TOOTHLESS, LEFT_OUT]);
  await writeReport(folder);
  const report = readReport(folder);
  expect(reportSchema.parse(report)).toEqual(report);
  for (const repeat of report.scenarios.flatMap(({ repeats }) => repeats)) {
    if (repeat.folder === null) continue;
    const result = JSON.parse(read(folder, repeat.folder, 'result.json'));
    const { reasons, counts, faults, intervals, offenders, operator_actions } = repeat;
    expect({ reasons, counts, faults, intervals, offenders, operator_actions }).toEqual({
      ...result,
      verdict: undefined,
    });
  }
});

test.each([
  [
    'held',
    [HELD, LEFT_OUT],
    'Held: 1 of 1 scenario, 1 not run; 1,000 frames accepted, 1,000 stored once, 0 lost, 0 altered',
  ],
  [
    'failed',
    [HELD, LOSSY, TOOTHLESS],
    'Did not hold: 1 of 3 scenarios failed, 1 could not be judged; 3,000 frames accepted, 2,997 stored once, 3 lost, 0 altered',
  ],
  [
    'inconclusive',
    [HELD, TOOTHLESS],
    'Inconclusive: 1 of 2 scenarios held, 1 could not be judged; 2,000 frames accepted, 2,000 stored once, 0 lost, 0 altered',
  ],
] as const)('a run that is %s says so first', async (verdict, scenarios, sentence) => {
  const folder = await forged(scenarios);
  await writeReport(folder);
  expect(readReport(folder)).toMatchObject({ verdict, sentence });
  expect(read(folder, 'report.html')).toContain(`<title>${sentence}</title>`);
});

test('a run whose runner died, or in which nothing was judged, has not held', async () => {
  const died = await forged([HELD], { ended_at: null });
  const empty = await forged([LEFT_OUT]);
  await writeReport(died);
  await writeReport(empty);
  expect(readReport(died).verdict).toBe('inconclusive');
  expect(readReport(died).sentence).toContain('the run did not come to its end');
  expect(readReport(empty).verdict).toBe('inconclusive');
});

test('the page asks the network for nothing', async () => {
  const folder = await forged([HELD, LOSSY, LEFT_OUT]);
  await writeReport(folder);
  const page = read(folder, 'report.html');
  expect(page).not.toMatch(/https?:|\/\/[a-z]|@import|<link|<img|<iframe| src=/i);
  expect([...page.matchAll(/(?:href="|url\()([^")]*)/g)].map(([, to]) => to?.[0])).not.toContain(
    undefined,
  );
  expect([...page.matchAll(/(?:href="|url\()(.)/g)].filter(([, first]) => first !== '#')).toEqual(
    [],
  );
  expect(page).toContain("default-src 'none'");
});

test('nothing that a run says becomes markup', async () => {
  const evil = `</script><script>alert("x")</script>&'\u0000\u001b[31m`;
  const folder = await forged(
    [
      {
        ...LOSSY,
        title: evil,
        description: evil,
        faults: [{ ...CUT, name: evil, target: evil, evidence: evil }],
        exits: [{ at_s: 2, process: evil, injected: false }],
        harness_failures: [evil],
      },
      { ...LEFT_OUT, title: evil, reason: evil },
    ],
    { ground_reason: evil, command: evil, healed: [evil] },
  );
  await writeReport(folder);
  const page = read(folder, 'report.html');
  expect(page).not.toContain('<script>alert');
  expect(page).not.toMatch(/alert\("x"\)/);
  expect(page.match(/<script/g)).toHaveLength(2);
  const junit = read(folder, 'junit.xml');
  expect(junit).not.toContain('<script');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that they are gone is what is asked
  expect(junit).not.toMatch(/[\u0000-\u0008\u000b\u000c\u000e-\u001f]/);
});

test('junit.xml counts each repeat once, by its outcome', async () => {
  const folder = await forged([
    { ...HELD, repeat: 1 },
    { ...HELD, repeat: 2 },
    LOSSY,
    TOOTHLESS,
    { ...HELD, name: 'stopped', outcome: 'interrupted', reason: 'Ctrl-C' },
    LEFT_OUT,
  ]);
  await writeReport(folder);
  const junit = read(folder, 'junit.xml');
  expect(junit.match(/<testcase /g)).toHaveLength(6);
  expect(junit).toMatch(/<testsuite [^>]*tests="6" failures="1" errors="2" skipped="1"/);
  expect(junit).toMatch(
    /<failure type="lost" message="[^"]*3 accepted frames are not in the store/,
  );
  expect(junit).toContain('<skipped message="needs a disk of its own"/>');
  expect(junit).toMatch(/<error type="fault_did_not_bite"/);
  expect(junit).toMatch(/<error type="interrupted" message="Ctrl-C">/);
  expect(junit).toContain('name="cut (2 of 2)"');
});

test('the first screen says what failed, which frames, where they were last, and what to do', async () => {
  const again = { ...LOSSY, name: 'again', lost: [10] };
  const folder = await forged(
    [HELD, LOSSY, TOOTHLESS, { ...again, repeat: 1, lost: [] }, { ...again, repeat: 2 }],
    { command: './holdfast chaos cut my/lossy.yaml toothless again --seed 20261126 --repeat 2' },
  );
  await writeReport(folder);
  const page = read(folder, 'report.html');
  const first = page.slice(page.indexOf('<header>'), page.indexOf('<main>'));
  expect(first).toContain('<code>load-1 #{300..301 700}</code>, last seen at server (3 frames)');
  expect(first).toContain('./holdfast chaos my/lossy.yaml --seed 20261126 --ground process</code>');
  expect(first).toContain('chaos again --seed 20261126 --repeat 2 --ground process</code>');
  expect(first).toContain(`${basename(folder)}/02-lossy/`);
  expect(first).toContain('cut had no effect');
  expect(first.match(/class="trouble /g)).toHaveLength(3);
  expect(read(folder, 'junit.xml')).toContain('again: ./holdfast chaos my/lossy.yaml --seed');
});

test('of a bystander the lag is drawn and told, and nothing of it stands for the source', async () => {
  const asks = { bystander_lag_ms_p99_max: 3_000 };
  const folder = await forged([{ ...HELD, bystander: true, asks }]);
  await writeReport(folder);
  const [repeat] = readReport(folder).scenarios[0]?.repeats ?? [];
  expect(repeat).toMatchObject({
    outcome: 'pass',
    queued_max: expect.any(Number),
    bystander_lag: { frames: 1_000, p99_ms: 4, max_ms: 4 },
    limits: { bystander_lag_ms_p99_max: 3_000 },
  });
  expect(repeat?.queued_max).toBeLessThan(1_000);
  const page = read(folder, 'report.html');
  expect(page.match(/class="line other" d="M[^"]/g)).toHaveLength(2);
  expect(page).toContain('lag of the bystander');
  expect(page).toMatch(/99 of 100 within<\/dt><dd>4 ms/);
  expect(page).toContain('s-backoff');
});

test('a lost frame is told with its number, and where it was last seen', async () => {
  const folder = await forged([LOSSY]);
  await writeReport(folder);
  const [scenario] = readReport(folder).scenarios;
  expect(scenario?.repeats[0]?.intervals.lost).toBe('load-1 #{300..301 700}');
  const page = read(folder, 'report.html');
  expect(page).toContain('load-1 #{300..301 700}');
  expect(page).toMatch(/class="here"><strong>server<\/strong>3 frames/);
});

test('over repeats the spread of each figure is told, and drawn', async () => {
  const folder = await forged(
    [1, 2, 3, 4, 5].map((repeat) => ({
      ...HELD,
      repeat,
      faults: [{ ...CUT, to_s: 2 + repeat / 5 }],
    })),
  );
  await writeReport(folder);
  const [scenario] = readReport(folder).scenarios;
  const drains = scenario?.repeats.map(({ faults }) => faults[0]?.since_running?.drained_ms ?? 0);
  const sorted = drains?.toSorted((a, b) => a - b) ?? [];
  expect(scenario?.faults[0]?.drain_ms).toEqual({
    n: 5,
    min: sorted[0],
    median: sorted[2],
    p95: sorted[4],
    max: sorted[4],
  });
  const page = read(folder, 'report.html');
  expect(page.match(/class="dot"/g)).toHaveLength(15);
  const overview = page.slice(page.indexOf('class="card overview"'), page.indexOf('</table>'));
  expect(overview.match(/<th scope="row">/g)).toHaveLength(1);
  expect(overview).toContain(
    `${duration(sorted[2])}<small class="quiet">worst ${duration(sorted[4])}</small>`,
  );
});

test('however many the frames, a line has at most 600 points and the page stays light', async () => {
  const folder = await forged([{ ...HELD, frames: 20_000, rate: 250 }]);
  await writeReport(folder);
  const page = read(folder, 'report.html');
  const paths = [...page.matchAll(/class="line" d="([^"]*)"/g)].map(([, d]) => d ?? '');
  expect(paths.length).toBeGreaterThan(3);
  for (const d of paths) expect(d.match(/[ML]/g)?.length).toBeLessThanOrEqual(600);
  expect(page.length).toBeLessThan(150_000);
});

test('every scale of a picture stands in the gutter, left of all data', async () => {
  const folder = await forged([HELD]);
  await writeReport(folder);
  const page = read(folder, 'report.html');
  const ticks = [...page.matchAll(/<text class="(tick[^"]*)" x="([^"]*)"/g)];
  const scales = ticks.filter(([, , x]) => !x?.endsWith('%'));
  expect(scales.length).toBeGreaterThan(6);
  for (const [, name, x] of scales) expect([name, x]).toEqual(['tick scale', '-6']);
});

test('a recheck of an untouched run comes to the same', async () => {
  const folder = await forged([HELD, LOSSY, LEFT_OUT]);
  await writeReport(folder);
  const before = readReport(folder);
  const { code, text } = await again(folder);
  expect(readReport(folder)).toEqual(before);
  expect(code).toBe(1);
  expect(text).toContain('Did not hold: 1 of 2 scenarios failed');
});

test('a row taken out of the export fails a run that had held', async () => {
  const folder = await forged([HELD]);
  await writeReport(folder);
  expect(readReport(folder).verdict).toBe('held');
  expect((await again(folder)).code).toBe(0);
  const path = join(folder, '01-cut', 'export.ndjson');
  const lines = readFileSync(path, 'utf8').split('\n');
  writeFileSync(path, lines.toSpliced(420, 1).join('\n'));
  const { code, text } = await again(folder);
  expect(code).toBe(1);
  expect(text).toContain('1 accepted frames are not in the store');
  expect(JSON.parse(read(folder, 'run.json')).scenarios[0].outcome).toBe('fail');
  expect(JSON.parse(read(folder, '01-cut', 'result.json')).verdict).toBe('fail');
  expect(JSON.parse(read(folder, 'result.json'))).toMatchObject({
    verdict: 'failed',
    exit_code: 1,
  });
  expect(read(folder, 'report.html')).toContain('Did not hold');
});

test.each([
  ['case.json', '{"accepted_min":'],
  ['observations.json', '{"faults":[{}]}'],
  ['audit.json', 'no JSON'],
  ['case.json', undefined],
  ['observations.json', undefined],
  ['audit.json', undefined],
  ['export.ndjson', undefined],
  ['ledger', undefined],
])('%s damaged or gone (%j) is inconclusive, by its name', async (name, content) => {
  const folder = await forged([HELD]);
  const path = join(folder, '01-cut', name);
  if (content === undefined) rmSync(path, { recursive: true });
  else writeFileSync(path, content);
  const { code, text } = await again(folder);
  expect(code).toBe(3);
  expect(text).toContain(`01-cut/${name}`);
  expect(text).not.toContain(`${folder}/01-cut`);
  const [record] = JSON.parse(read(folder, 'run.json')).scenarios;
  expect(record).toMatchObject({ outcome: 'inconclusive', reason: expect.stringContaining(name) });
  expect(readdirSync(join(folder, '01-cut'))).toContain('result.previous.json');
  expect(read(folder, 'report.html')).toContain(name);
});

test('damage in ledger and export is told by the oracle', async () => {
  const folder = await forged([HELD]);
  appendFileSync(join(folder, '01-cut', 'export.ndjson'), '{"collector":');
  const { code, text } = await again(folder);
  expect(code).toBe(3);
  expect(text).toContain('the export is cut short');
});

test('without files of its own a scenario is still reported', async () => {
  const folder = await forged([HELD, LOSSY]);
  for (const name of readdirSync(join(folder, '01-cut'))) {
    rmSync(join(folder, '01-cut', name), { recursive: true });
  }
  rmSync(join(folder, '02-lossy'), { recursive: true });
  await writeReport(folder);
  expect(read(folder, 'report.html')).toContain('observations.json is missing');
  expect((await again(folder)).code).toBe(3);
});

test('a folder that is no run is refused, a damaged run.json is inconclusive', async () => {
  const folder = scratch();
  await expect(writeReport(folder)).rejects.toThrow(FolderError);
  expect(await again(folder)).toMatchObject({ code: 2, text: expect.stringContaining('run.json') });
  writeFileSync(join(folder, 'run.json'), '{');
  expect(await again(folder)).toMatchObject({ code: 3, text: expect.stringContaining('run.json') });
});

test('the scenario in which the runner died is judged with the rest', async () => {
  const folder = scratch();
  const record = await forgeRun(folder, [HELD, LOSSY], { ended_at: null });
  const known = { ...record, scenarios: record.scenarios.slice(0, 1) };
  writeFileSync(join(folder, 'run.json'), JSON.stringify(known));
  const { code, text } = await again(folder);
  expect(code).toBe(1);
  expect(text).toMatch(/^fail +lossy: /m);
});

test('a scenario that run.json does not know has the title of its file', async () => {
  const folder = scratch();
  const record = await forgeRun(folder, [LOSSY], { ended_at: null });
  writeFileSync(join(folder, 'run.json'), JSON.stringify({ ...record, scenarios: [] }));
  await again(folder);
  expect(readReport(folder).scenarios).toMatchObject([
    { name: 'lossy', title: 'A loss', description: 'A trouble of the real world.' },
  ]);
  writeFileSync(join(folder, '01-lossy', 'scenario.yaml'), 'title: [');
  writeFileSync(join(folder, 'run.json'), JSON.stringify({ ...record, scenarios: [] }));
  await again(folder);
  expect(readReport(folder).scenarios).toMatchObject([{ name: 'lossy', title: 'lossy' }]);
});

test('an interrupted scenario can fail, and never holds', async () => {
  const stopped = { outcome: 'interrupted', reason: 'Ctrl-C' } as const;
  const whole = await forged([{ ...HELD, ...stopped }]);
  const lossy = await forged([{ ...LOSSY, ...stopped }]);
  const { code, text } = await again(whole);
  expect(code).toBe(130);
  expect(text).toContain('Interrupted: 0 of 1 scenario held, 1 interrupted');
  expect(JSON.parse(read(whole, 'result.json'))).toMatchObject({
    verdict: 'interrupted',
    exit_code: 130,
  });
  expect(read(whole, 'report.html')).toContain('Interrupted</h1>');
  expect((await again(lossy)).code).toBe(1);
});

test('a run that was interrupted between two scenarios stays so, unless one failed', async () => {
  const interrupted = JSON.stringify({ verdict: 'interrupted', exit_code: 130, text: '1 held' });
  for (const [scenario, verdict, code] of [
    [HELD, 'interrupted', 130],
    [LOSSY, 'failed', 1],
  ] as const) {
    const folder = await forged([scenario]);
    writeFileSync(join(folder, 'result.json'), interrupted);
    await writeReport(folder);
    expect(readReport(folder).verdict).toBe(verdict);
    expect((await again(folder)).code).toBe(code);
    expect(readReport(folder).verdict).toBe(verdict);
  }
});

test('a program that grew fails the run, and its lines are drawn with what was judged', async () => {
  const folder = await forged([HELD], { kind: 'soak' });
  const usage = (perMinute: number) => {
    const samples = Array.from({ length: 300 }, (_, index) => ({
      at: { wall_us: 1_795_248_000_000_000 + index * 10e6, monotonic_ms: index * 10e3 },
      service: 'collector',
      generation: index < 60 ? 'a' : 'b',
      resident_bytes: 80e6 + (index * perMinute) / 6,
      open_files: 30,
      disk_bytes: 1e6,
    }));
    return samples.map((one) => `${JSON.stringify(one)}\n`).join('');
  };
  const path = join(folder, '01-cut', 'usage.ndjson');
  writeFileSync(path, `${usage(4e6)}{"torn`);
  expect((await again(folder)).code).toBe(1);
  expect(readReport(folder).scenarios[0]?.repeats[0]).toMatchObject({
    outcome: 'fail',
    reasons: [{ code: 'growth' }],
    growth: [{ service: 'collector', what: 'memory', verdict: 'grows' }, {}, {}],
  });
  const page = read(folder, 'report.html');
  expect(page).toContain('Resident memory');
  expect(page).toContain('Grows: ');
  expect(page).toContain('1 restart');
  writeFileSync(path, usage(0));
  expect((await again(folder)).code).toBe(0);
});

test('a report of thirty scenarios stays under 3 MB', async () => {
  const folder = scratch();
  const record = await forgeRun(folder, [{ ...HELD, frames: 6_000, rate: 100 }]);
  const [one] = record.scenarios;
  const scenarios = Array.from({ length: 30 }, (_, index) => ({ ...one, name: `cut-${index}` }));
  writeFileSync(join(folder, 'run.json'), JSON.stringify({ ...record, scenarios }));
  await writeReport(folder);
  expect(statSync(join(folder, 'report.html')).size).toBeLessThan(3_000_000);
});
