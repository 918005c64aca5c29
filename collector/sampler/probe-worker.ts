/**
 * The thread of the probes that may take long: one question, one answer, in any order. The only
 * place in the process that may call systeminformation, for its rates live in module state.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { CpuReader } from './probes/cpu.ts';
import { readDisk } from './probes/disk.ts';
import { readFilesystem } from './probes/filesystem.ts';
import { readMemory } from './probes/memory.ts';
import { readNetwork } from './probes/network.ts';
import type { Metric, Scope } from './sample.ts';

export type RemoteProbe = 'cpu' | 'memory' | 'disk' | 'filesystem' | 'network';

export interface ProbeQuestion {
  readonly id: number;
  readonly probe: RemoteProbe;
}

export type ProbeAnswer =
  | { readonly id: number; readonly metrics: readonly Metric[] }
  | { readonly id: number; readonly error: string };

const scope = workerData as Scope;
/** From here on: the first sample has the shares of the time since the start. */
const cpu = new CpuReader();

const READERS: Readonly<Record<ProbeQuestion['probe'], () => Promise<readonly Metric[]>>> = {
  cpu: () => cpu.read(),
  memory: () => readMemory(scope),
  disk: readDisk,
  filesystem: readFilesystem,
  network: () => readNetwork(scope),
};

parentPort?.on('message', async ({ id, probe }: ProbeQuestion) => {
  parentPort?.postMessage(await answerTo(id, probe));
});

async function answerTo(id: number, probe: ProbeQuestion['probe']): Promise<ProbeAnswer> {
  try {
    return { id, metrics: await READERS[probe]() };
  } catch (error) {
    return { id, error: error instanceof Error ? error.message : String(error) };
  }
}
