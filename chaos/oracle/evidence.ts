/**
 * Evidence from files: ledgers and export line by line, the JSON documents whole. What can't be
 * used is an EvidenceError that names the file; what is merely wrong in it is the judge's to find.
 */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { linesOf } from '../ledger/lines-of.ts';
import { type Ledger, LedgerReader } from '../ledger/reader.ts';
import { auditSchema } from './audit.ts';
import { EvidenceError, Judge, type Result } from './judge.ts';
import { caseSchema, observationsSchema } from './observations.ts';

/** Paths. */
export interface EvidenceFiles {
  readonly ledgers: readonly string[];
  readonly export: string;
  readonly audit?: string | undefined;
  readonly observations?: string | undefined;
  readonly case?: string | undefined;
}

/** @throws EvidenceError. */
export async function judgeFiles(files: EvidenceFiles): Promise<Result> {
  const ledgers = await Promise.all(files.ledgers.map(readLedger));
  const judge = new Judge({
    ledgers,
    audit: readDocument(files.audit, auditSchema),
    observations: readDocument(files.observations, observationsSchema),
    expected: readDocument(files.case, caseSchema),
  });
  const rest = await named(files.export, () => linesOf(files.export, judge));
  return judge.finish(rest);
}

async function readLedger(path: string): Promise<Ledger> {
  const reader = new LedgerReader();
  const rest = await named(path, () => linesOf(path, reader));
  return reader.finish(rest);
}

function readDocument<T>(path: string | undefined, schema: z.ZodType<T>): T | undefined {
  if (path === undefined) return undefined;
  let document: unknown;
  try {
    document = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw unusable(path, error);
  }
  const parsed = schema.safeParse(document);
  if (parsed.success) return parsed.data;
  throw new EvidenceError(`${path} is not what it should be:\n${z.prettifyError(parsed.error)}`);
}

async function named<T>(path: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof Error && 'syscall' in error) throw unusable(path, error);
    throw error;
  }
}

function unusable(path: string, error: unknown): EvidenceError {
  const reason = error instanceof Error ? error.message : String(error);
  return new EvidenceError(`${path} can't be read: ${reason}`);
}
