/**
 * A process that writes a ledger as fast as it can, for a test that kills it: each attempt is told
 * on standard output once its line is on disk, so the test knows what must survive.
 */
import { strict as assert } from 'node:assert';
import { LedgerWriter } from '#chaos/ledger/writer.ts';

const BATCH = 50;

const [path] = process.argv.slice(2);
assert(path !== undefined, 'the path of the ledger');
const ledger = await LedgerWriter.open(path);
const { attempts, lastCapturedAt = 0, tornBytes } = ledger.past;
await ledger.start({ run: 'r', collector: 'load-1', seed: 1, at: 0, settings: {} });
process.stdout.write(`torn ${tornBytes}\n`);
const sha256 = '0'.repeat(64);
for (let n = attempts + 1; ; ) {
  for (const end = n + BATCH; n < end; n += 1) {
    ledger.append({ type: 'attempt', n, captured_at: lastCapturedAt + n, bytes: 1, sha256 });
  }
  await ledger.sync();
  process.stdout.write(`synced ${n - 1}\n`);
  for (let told = n - BATCH; told < n; told += 1) {
    ledger.append({ type: 'accepted', n: told, epoch: 'e', seq: told });
  }
}
