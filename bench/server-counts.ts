/** What a server has counted, all collectors together. */
import { textOf } from './api.ts';
import { BenchError } from './errors.ts';

/** Bytes from collectors, handshakes and heartbeats included. */
export async function arrivedBytes(api: string): Promise<number> {
  const text = await textOf(`${api}/metrics`);
  const count = /^holdfast_ingest_received_bytes_total (\d+)$/m.exec(text)?.[1];
  if (count === undefined) throw new BenchError('the server does not tell what it received');
  return Number(count);
}

/** What its audit says, in frames. */
interface RowCounts {
  readonly stored: number;
  /** Frames that came to the store again although it had them. */
  readonly duplicates: number;
}

export async function rowCounts(api: string): Promise<RowCounts> {
  const { collectors } = JSON.parse(await textOf(`${api}/api/v1/audit`)) as AuditAnswer;
  return {
    stored: collectors.reduce((sum, { totals }) => sum + totals.stored, 0),
    duplicates: collectors.reduce((sum, { totals }) => sum + totals.duplicates_refused, 0),
  };
}

interface AuditAnswer {
  readonly collectors: readonly {
    readonly totals: { readonly stored: number; readonly duplicates_refused: number };
  }[];
}
