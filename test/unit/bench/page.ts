/** docs/bench-report.md, made from the schema of bench.json. */
import { benchSchema } from '#bench/document.ts';
import { schemaTable } from '../schema-table.ts';

export function benchReportPage(): string {
  return `# The report of a run of benchmarks

Every run leaves a folder \`reports/bench-<time>/\` (\`reports/bench-latest\` points to the newest) with two forms of one report, written anew after each part,
so that a run that is ended before its time leaves what it had:

- **bench.html** for people: one file, without network and scripts, to read on a phone, in the dark and on paper. It opens on whether all was stored and
  which aims were met; then each part with its figures side by side, how they grow with size, how they were measured and what was verified. Where contenders are
  compared, a table for each case has a row for each measure and a column for each contender.
- **bench.json** for programs: below. The page is made of it alone (\`./holdfast bench draw FOLDER\` makes it again).

## Comparing runs

\`make bench-compare\` holds the last run against the committed one of the same size in \`docs/bench/\`; \`./holdfast bench compare [RUN] [--against RUN]\` any with
any other, by their folders or files. Exit codes: 0 nothing got worse, 1 something did (or the run itself did not hold), 2 no run is there.

- **What is compared**: figures of the same suite, part, name and size of which one way is the better. Ratios, memory and what the protocol's timers make are held
  against each other as they are. What follows the machine is divided by what the machine could do just before, by a probe: rates and times of programs by a fixed
  piece of work on one core (\`processor\`), single writes by an fdatasync (\`disk\`). Limits, loads and rivals are not compared,
  nor is what was measured in another way or at another size, ratios apart.
- **What is noise**: how far a median may be off by chance, 1.57 times the middle half of the samples over the root of their number (the notch of a box plot),
  of both runs and their probes together. Less than a tenth is never named; with one or two samples, less than a quarter isn't.
- **What it can't know**: neighbours that come and go between two runs, and what another machine is better or worse at than a core's work and a
  disk's sync. It says in which ways the machines differ. A finding is a reason to measure again, the two versions in turns.

A new run takes the committed one's place by its file: \`cp reports/bench-latest/bench.json docs/bench/full.json\`, then \`HOLDFAST_WRITE_DOCS=1 make test-unit\`
for the tables of [performance.md](performance.md).

## bench.json

\`version\` is 1; a change that breaks readers gives it another number. Units stand last in a name, or in \`unit\`. This table is made from the schema
(\`bench/document.ts\`).

${schemaTable(benchSchema)}
`;
}
