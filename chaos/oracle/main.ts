/**
 * The oracle by hand: reads the evidence from files, prints the verdict, and ends the process with
 * it. Exit codes: 0 pass, 1 fail, 3 inconclusive, 2 usage or evidence that can't be read.
 */
import { writeFileSync } from 'node:fs';
import { Command } from 'commander';
import { judgeFiles } from './evidence.ts';
import { EvidenceError } from './judge.ts';
import { reportText } from './report.ts';

const EXIT = { pass: 0, fail: 1, usage: 2, inconclusive: 3 } as const;

interface Options {
  readonly ledger: readonly string[];
  readonly export: string;
  readonly audit?: string;
  readonly observations?: string;
  readonly case?: string;
  readonly json?: string;
}

async function judge({ ledger, json, ...files }: Options): Promise<void> {
  try {
    const result = await judgeFiles({ ledgers: ledger, ...files });
    const exitCode = EXIT[result.verdict];
    if (json !== undefined) {
      writeFileSync(json, `${JSON.stringify({ exit_code: exitCode, ...result }, null, 2)}\n`);
    }
    process.stdout.write(reportText(result));
    process.exitCode = exitCode;
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error;
    console.error(`${error.message}\nnothing was judged`);
    process.exitCode = EXIT.usage;
  }
}

await new Command('oracle')
  .description('Judges a run: what a load source says it sent against what the server stored.')
  .requiredOption('--ledger <files...>', 'ledgers of the load sources, one for each')
  .requiredOption('--export <file>', 'what /api/v1/export answered after the run')
  .option('--audit <file>', 'what /api/v1/audit answered just before the export')
  .option('--observations <file>', 'what was done and seen while it ran')
  .option('--case <file>', 'what the case asks for and allows')
  .option('--json <file>', 'where to write the result as JSON')
  .exitOverride((error) => process.exit(error.exitCode === 0 ? EXIT.pass : EXIT.usage))
  .action(judge)
  .parseAsync();
