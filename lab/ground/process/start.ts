/**
 * The processes' lab brought up: what it needs, then its services under their supervisor. A second
 * time with nothing changed starts nothing; other sources, settings or ports start anew what they
 * change. The proof that the path works is `up.ts`.
 */
import { dashboardStep } from '#lab/dashboard.ts';
import { EXIT, LabError } from '#lab/errors.ts';
import { isFree, otherPort, refuseTakenPorts, takenPorts } from '#lab/ports.ts';
import { known, type LabContext } from '#lab/setup.ts';
import { ensureToken } from '#lab/state.ts';
import type { Step, StepPlan } from '#lab/steps.ts';
import { ensureCertificates } from '#lab/tls.ts';
import { toxiproxyStep } from '#lab/toxiproxy-program.ts';
import { noteGround } from '../choose.ts';
import { PORT_IN_COMPOSE } from '../ground.ts';
import { ControlClient, endSupervisor, startSupervisor } from './client.ts';
import type { ProgramSpec } from './control.ts';
import { ProcessGround } from './ground.ts';
import { readLog } from './log-file.ts';
import { logPath } from './place.ts';
import { readServices, writeServices } from './services.ts';
import { programSources, supervisorSources } from './sources.ts';
import { endOrphans } from './supervisor.ts';

/** How a ground is brought up: what comes first, then its services. */
export interface Start {
  readonly before: readonly StepPlan[];
  services(step: Step): Promise<string>;
  /** The end of a service's log. */
  lastLines(service: string): Promise<readonly string[]>;
}

const LOG_LINES_SHOWN = 15;

export function startAsProcesses(context: LabContext): Start {
  const { config, files } = context;
  let toxiproxy: string | undefined;
  let specs: ProgramSpec[] | undefined;
  return {
    before: [
      toxiproxyStep(context, (path) => {
        toxiproxy = path;
      }),
      dashboardStep(context),
      {
        title: 'Ports',
        run: async (step) => {
          if (await endLeftOrphans(context)) {
            step.note('the supervisor had been killed: ended the processes that it left');
          }
          refuseTakenPorts(await portsOfOthers(context));
          const { apiPort, statusPort, linkPort, toxiproxyPort } = config;
          return [apiPort, statusPort, linkPort, toxiproxyPort].join(', ');
        },
      },
      {
        title: 'Secret and environment',
        run: async () => {
          ensureToken(files);
          if (config.tls === '1') ensureCertificates(files);
          specs = await chooseServices(context, known(toxiproxy));
          noteGround(files, 'process');
          return '.lab/';
        },
      },
    ],
    services: (step) => startServices(context, known(specs), step),
    lastLines: async (service) =>
      readLog(logPath(files.process, service))
        .slice(-LOG_LINES_SHOWN)
        .map(({ text }) => text),
  };
}

/** A supervisor that was killed leaves what it ran, on the ports that are needed now. */
async function endLeftOrphans({ files }: LabContext): Promise<boolean> {
  const client = await ControlClient.connect(files.process);
  client?.close();
  return client === null && (await endOrphans(files.process));
}

/** Of the ports that are taken, those that this lab doesn't hold itself. */
async function portsOfOthers(context: LabContext) {
  const own = new Set((await running(context)).flatMap(({ ports }) => Object.values(ports)));
  const taken = await takenPorts(context.config, context.docker, new Set());
  return taken.filter(({ port }) => !own.has(port));
}

/** The programs that run now, and those that are about to come back. */
async function running({ files }: Pick<LabContext, 'files'>): Promise<ProgramSpec[]> {
  const client = await ControlClient.connect(files.process);
  if (client === null) return [];
  try {
    return (await client.list()).programs.map(({ spec }) => spec);
  } finally {
    client.close();
  }
}

async function chooseServices(context: LabContext, toxiproxy: string): Promise<ProgramSpec[]> {
  const { config, files } = context;
  const ingestPort = await chooseIngestPort(context);
  writeServices({ config, files, ingestPort, toxiproxy, sources: programSources() });
  return readServices(files) ?? [];
}

/** The one that it was, where that is still to be had: another one would start everything anew. */
async function chooseIngestPort(context: LabContext): Promise<number> {
  const serverOf = (specs: readonly ProgramSpec[] | null) =>
    specs?.find(({ name }) => name === 'server')?.ports[PORT_IN_COMPOSE.ingest];
  const { apiPort, statusPort, linkPort, toxiproxyPort } = context.config;
  const spoken = [apiPort, statusPort, linkPort, toxiproxyPort];
  const held = serverOf(await running(context));
  if (held !== undefined && !spoken.includes(held)) return held;
  const noted = serverOf(readServices(context.files));
  if (noted !== undefined && !spoken.includes(noted) && (await isFree(noted))) return noted;
  return otherPort(spoken);
}

async function startServices(
  { files }: LabContext,
  specs: readonly ProgramSpec[],
  step: Step,
): Promise<string> {
  try {
    const isFirst = (await running({ files })).length === 0;
    await ensureSupervisor(files.process);
    // What is to run has been noted; what doesn't, or was left stopped or frozen, is mended.
    const ground = await ProcessGround.open(files);
    const mended = await ground.heal();
    await ground.close();
    for (const what of isFirst ? [] : mended) step.note(what);
    return specs.map(({ name }) => name).join(', ');
  } catch (error) {
    if (!(error instanceof LabError)) throw error;
    throw new LabError({
      code: 'ground_failed',
      exitCode: EXIT.failed,
      message: 'the services could not be started',
      details: [error.message],
      next: ['To see how they stand: make status', 'To see their logs: make logs'],
      cause: error,
    });
  }
}

/** One of the sources that are here. */
async function ensureSupervisor(folder: string): Promise<void> {
  const client = await ControlClient.connect(folder);
  if (client !== null) {
    const isCurrent = (await client.list()).sources === supervisorSources();
    if (isCurrent) return client.close();
    await endSupervisor(client, folder);
  }
  (await startSupervisor(folder)).close();
}
