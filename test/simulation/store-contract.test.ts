/** The modelled store keeps the contract that every store keeps. */
import { randomUUID } from 'node:crypto';
import type { Store } from '#server/store/store.ts';
import { gapsContract } from '../unit/server/gaps-contract.ts';
import { storeContract } from '../unit/server/store-contract.ts';
import { ModelStore, StoreDisk } from './model/store.ts';

const disks = new WeakMap<Store, StoreDisk>();

function open(disk = new StoreDisk(randomUUID())): Store {
  const store = new ModelStore(disk, {
    after: (ms, call) => {
      const timer = setTimeout(call, ms);
      timer.unref();
      return () => clearTimeout(timer);
    },
    commitMs: () => 0,
    answerMs: () => 0,
    failure: () => undefined,
  });
  disks.set(store, disk);
  return store;
}

storeContract({ open: async () => open(), reopen: async (store) => open(disks.get(store)) });
gapsContract({ open: async () => open() });
