/** Where the processes' lab keeps its things: one folder, with a name in it for each. */
import { join } from 'node:path';

/** What the lab's own services are: their specs as `up` made them, which `heal` goes back to. */
export const servicesPath = (folder: string) => join(folder, 'services.json');
export const socketName = 'control';
export const lockPath = (folder: string) => join(folder, 'supervisor.lock.sqlite');
/** What the supervisor itself said, when it could not go on. */
export const supervisorLogPath = (folder: string) => join(folder, 'supervisor.log');
export const toxiproxyConfigPath = (folder: string) => join(folder, 'toxiproxy.json');
export const otherTokenPath = (folder: string) => join(folder, 'other-token');
export const queuePath = (folder: string) => join(folder, 'queue');
export const storePath = (folder: string) => join(folder, 'store');
/** Of what was launched: gone with it. */
export const launchedPath = (folder: string, name: string) => join(folder, 'launched', name);
export const logPath = (folder: string, name: string) => join(folder, `${name}.log`);
export const tracePath = (folder: string, name: string) => join(folder, `${name}.trace`);
