/** The modelled store keeps the contract that every store keeps. */
import { randomUUID } from 'node:crypto';
import { storeContract } from '../unit/server/store-contract.ts';
import { ModelStore, StoreDisk } from './model/store.ts';

storeContract(async () => {
  return new ModelStore(new StoreDisk(randomUUID()), {
    after: (ms, call) => {
      const timer = setTimeout(call, ms);
      timer.unref();
      return () => clearTimeout(timer);
    },
    commitMs: () => 0,
    answerMs: () => 0,
    failure: () => undefined,
  });
});
