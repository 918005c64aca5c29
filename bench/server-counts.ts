/** What a server has counted, all collectors together. */
import { BenchError } from './errors.ts';

/** Bytes from collectors, handshakes and heartbeats included. */
export async function arrivedBytes(api: string): Promise<number> {
  const text = await (await fetch(`${api}/metrics`)).text();
  const count = /^holdfast_ingest_received_bytes_total (\d+)$/m.exec(text)?.[1];
  if (count === undefined) throw new BenchError('the server does not tell what it received');
  return Number(count);
}
