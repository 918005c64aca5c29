/** The processes' lab stopped: its services and their supervisor, or what a killed one left. */
import type { LabFiles } from '#lab/paths.ts';
import { ControlClient, endSupervisor } from './client.ts';
import { endOrphans } from './supervisor.ts';

/** False when nothing ran. */
export async function stopProcesses({ process: folder }: LabFiles): Promise<boolean> {
  const client = await ControlClient.connect(folder);
  if (client === null) return endOrphans(folder);
  await endSupervisor(client, folder);
  return true;
}
