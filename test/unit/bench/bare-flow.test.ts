/** What a bare flow sends arrives, all of it and nothing more. */
import { afterEach, expect, test } from 'vitest';
import { BareFlow } from '#bench/wire/bare-flow.ts';

let flow: BareFlow | undefined;
afterEach(() => flow?.stop());

test('so many bytes are sent as were asked for, however they fit into its pieces', async () => {
  const bytes = 1_000_001;
  flow = await BareFlow.listen();
  flow.start(flow.port, bytes);
  await flow.arrived(bytes);
  expect(flow.arrivals.reduce((sum, one) => sum + one.bytes, 0)).toBe(bytes);
  // What has arrived is not waited for.
  await flow.arrived(1);
});
