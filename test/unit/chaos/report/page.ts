/** docs/chaos-report.md, made from the schema of report.json. */
import { reportSchema } from '#chaos/report/document.ts';
import { schemaTable } from '../../schema-table.ts';

export function reportPage(): string {
  return `# The report of a chaos run

Every run leaves a folder \`reports/<time>/\` (\`reports/latest\` points to the newest) with three forms of one report, made from the raw files
beside them:

- **report.html** for people: one file, without network, to read on a phone, in the dark and on paper. It opens on the verdict and,
  where something did not hold, on what it was: the frames, where they were last seen, the command to have that scenario again, its raw files. Then
  all scenarios at a glance, over repeats the median and the worst; then each with its timeline, its figures, what was done and what was found.
- **report.json** for programs: below.
- **junit.xml** for CI: a test case for each scenario, or each repeat of it. What did not hold is a failure, what could not be judged or was
  interrupted an error, what this ground can't do is skipped.

\`./holdfast chaos recheck FOLDER\` judges every scenario again from its raw files and writes result.json, the outcomes in run.json and the report
anew. Exit codes: 0 held, 1 did not hold, 2 no run in that folder, 3 inconclusive, 130 for a run that was interrupted and in which nothing failed
as far as it went. It works for a run whose runner died, too. Evidence that is missing or damaged makes a scenario inconclusive, by the name of
the file; the older result.json is then kept as result.previous.json.

## How to read the pictures

All lines of a scenario share one axis, in seconds from the first answer of the source. The grey bands are the faults, from their beginning until what was
hit worked again, and run through all lines; dashed lines are ends of programs. More than twelve stand in lanes by what was hit, with their names
where there is room; the pointer and the tables have all of them. Scales are left of the data.

| line | what it is |
|---|---|
| Link of the source | its state in \`/status\`, sampled every 100 ms; the worst of a bucket |
| Waiting in the queue | frames not yet acked, the most in each bucket |
| Acks a second | from the counter in \`/status\` |
| Delivery lag | from capture until it was stored, **by capture time**: the height over a moment is how late what was captured then came in. The most in each bucket, on a scale of powers of ten from 1 ms; gaps of less than a second are bridged. Dashed: that of a bystander, a source that no fault was aimed at |
| Stored | frames of the source in the store; from the export, or from samples of the audit where there is none |

A line has at most 600 buckets, however many the frames; a red cross is a lost frame, at its capture time.

*Noticed* is the time from a fault's beginning until the source's link was not Ready; *recovered* and *drained* are the times from the moment when
what was hit worked again until the first frame was stored, and until everything captured before was ([oracle.md](oracle.md)).

## report.json

\`version\` is 1; a change that breaks readers gives it another number. Units stand last in a name. An unknown time is null. This table is made
from the schema (\`chaos/report/document.ts\`).

${schemaTable(reportSchema)}
`;
}
