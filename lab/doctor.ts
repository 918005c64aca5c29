/**
 * `doctor`: each thing that the lab stands on, what was found, what would be chosen, and for each
 * problem the command that mends it. Changes nothing: it asks the same questions as set-up, and
 * stops where set-up would begin to act.
 */
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { installCommand, isDebianLike, type Wanted } from '#lab/apt.ts';
import { COMPOSE_PACKAGES, findCompose } from '#lab/compose.ts';
import { PORTS } from '#lab/config.ts';
import { ENGINE_PACKAGES, engineRefusal, findProgram, whyNoEngine } from '#lab/engine.ts';
import { EXIT, type ExitCode } from '#lab/errors.ts';
import { groundThatIsThere } from '#lab/ground/choose.ts';
import { serviceLines } from '#lab/ground/process/look.ts';
import { BASE, type ForeignPlan, imageHere, TOXIPROXY } from '#lab/images.ts';
import { PATHS } from '#lab/paths.ts';
import { describeTaken, takenPorts } from '#lab/ports.ts';
import {
  DISK_BYTES_MIN,
  describeImage,
  freeBytes,
  gigabytes,
  type LabContext,
} from '#lab/setup.ts';
import { readLabEnvironment } from '#lab/state.ts';
import { toxiproxyHere } from '#lab/toxiproxy-program.ts';

/** good: fine as it is; later: `make up` sees to it; bad: a person has to. */
type Verdict = 'good' | 'later' | 'bad';

export interface Finding {
  verdict: Verdict;
  name: string;
  found: string;
  /** What to run, or what will be done. */
  mend: readonly string[];
}

const MARKS: Readonly<Record<Verdict, string>> = { good: '✓', later: '·', bad: '✗' };

/** Prints the findings; exit code 0 when `make up` has all it needs, 1 otherwise. */
export async function doctor(
  context: LabContext,
  print: (line: string) => void,
): Promise<ExitCode> {
  const findings = await examine(context);
  for (const line of formatFindings(findings)) print(line);
  const bad = findings.filter(({ verdict }) => verdict === 'bad').length;
  print('');
  print(
    bad === 0 ? 'Usable. (· is what make up will see to.)' : `Not usable yet: ${bad} to mend (✗).`,
  );
  return bad === 0 ? EXIT.held : EXIT.failed;
}

export function formatFindings(findings: readonly Finding[]): string[] {
  const width = Math.max(...findings.map(({ name }) => name.length));
  return findings.flatMap(({ verdict, name, found, mend }) => [
    `${MARKS[verdict]} ${name.padEnd(width)}  ${found}`,
    ...mend.map((line) => `  ${' '.repeat(width)}  → ${line}`),
  ]);
}

async function examine(context: LabContext): Promise<Finding[]> {
  const own = process.execPath.startsWith(PATHS.tools) ? 'fetched into .tools/' : process.execPath;
  const findings = [good('Node.js', `${process.versions.node}, ${own}`)];
  const probe = await context.docker.probe();
  const why = context.config.ground === undefined ? whyNoEngine(probe, context.config) : null;
  const there = groundThatIsThere(context.config.ground, context.files);
  if (there === 'process' || why !== null) {
    const choice = why === null ? 'processes on loopback' : `processes on loopback: ${why}`;
    findings.push(good('ground', choice), ...(await processFindings(context)));
    return [...findings, ...(await diskFindings(context)), secretFinding()];
  }
  if (probe.kind !== 'ready') {
    const refusal = engineRefusal(probe);
    findings.push(
      refusal === null
        ? engineToCome(context)
        : { verdict: 'bad', name: 'engine', found: refusal.message, mend: refusal.next },
    );
    findings.push(await composeFinding(context));
    // Without asking the engine, this lab's own ports would look taken by a stranger.
    if (probe.kind !== 'denied') findings.push(...(await portFindings(context)));
    return [...findings, ...(await diskFindings(context)), secretFinding()];
  }
  const { version, apiVersion, os, arch, clientVersion } = probe.engine;
  findings.push(
    good('engine', `Docker ${version}, API ${apiVersion}, ${os}/${arch}, client ${clientVersion}`),
    await composeFinding(context),
    await imageFinding('base image', BASE, context),
    await imageFinding('Toxiproxy', TOXIPROXY, context),
    await appFinding(context),
    ...(await portFindings(context)),
    ...(await serviceFindings(context)),
    ...(await diskFindings(context)),
    secretFinding(),
  );
  return findings;
}

/** What the lab as processes stands on. */
async function processFindings(context: LabContext): Promise<Finding[]> {
  const { files } = context;
  const toxiproxy = await toxiproxyHere(context);
  const services = await serviceLines(files);
  const wrong = services?.filter(({ running }) => !running) ?? [];
  const isRunning = services !== null && wrong.length === 0;
  const up = ['make up'];
  return [
    toxiproxy === null
      ? {
          verdict: 'later',
          name: 'Toxiproxy',
          found: 'no program of it is here',
          mend: ['make up takes it from its image, or builds it from its Go module'],
        }
      : good('Toxiproxy', toxiproxy),
    toolFinding('strace', 'calls that fail or wait', 'strace'),
    toolFinding('prlimit', 'limits on open files', 'util-linux'),
    // Its own services hold its ports rightly, and what a killed supervisor left is ended by `up`.
    ...(services === null ? await portFindings(context) : []),
    ...(services === null
      ? [{ verdict: 'later', name: 'services', found: 'not running', mend: up } as const]
      : wrong.map(
          ({ service, words }): Finding => ({
            verdict: 'later',
            name: service,
            found: words,
            mend: up,
          }),
        )),
    ...(isRunning ? [good('services', services.map(({ service }) => service).join(', '))] : []),
  ];
}

/** Without it some faults can't be done; the lab itself needs none of them. */
function toolFinding(name: string, fault: string, debianPackage: string): Finding {
  const found = findProgram(name);
  if (found !== null) return good(name, found);
  const mend = [installCommand({ packages: [debianPackage], missing: name })];
  return { ...good(name, `not here: no faults of ${fault}`), mend: isDebianLike() ? mend : [] };
}

function good(name: string, found: string): Finding {
  return { verdict: 'good', name, found, mend: [] };
}

/** Missing, and make up would install it, unless it may not. */
function toInstall(name: string, wanted: Wanted, { config }: LabContext): Finding {
  const found = `not here`;
  const command = installCommand(wanted);
  const may = isDebianLike() && process.getuid?.() === 0 && config.noInstall === '0';
  if (may) return { verdict: 'later', name, found, mend: [`make up installs it: ${command}`] };
  const mend = isDebianLike() ? command : 'install Docker Engine with its Compose plugin';
  return { verdict: 'bad', name, found, mend: [mend] };
}

function engineToCome(context: LabContext): Finding {
  if (findProgram('dockerd') === null) return toInstall('engine', ENGINE_PACKAGES, context);
  const mend = ['make up starts it'];
  return { verdict: 'later', name: 'engine', found: 'installed, not running', mend };
}

async function composeFinding(context: LabContext): Promise<Finding> {
  const compose = await findCompose(context.programs);
  if (compose === null) return toInstall('Compose', COMPOSE_PACKAGES, context);
  return good('Compose', `${compose.version} (${[compose.file, ...compose.leading].join(' ')})`);
}

async function imageFinding(
  name: string,
  plan: ForeignPlan,
  { config, docker }: LabContext,
): Promise<Finding> {
  const here = await imageHere(plan, config, docker);
  const wanted = config[plan.setting] ?? plan.official;
  if (here === null) {
    const mend = [`make up pulls it, or makes a stand-in where there is no registry`];
    return { verdict: 'later', name, found: `${wanted} is not here`, mend };
  }
  if (here.origin !== 'stand-in') return good(name, describeImage(here));
  const mend = [`to try the registry again: docker rmi ${here.reference} && make up`];
  return { ...good(name, `${describeImage(here)}, as ${plan.official} was out of reach`), mend };
}

async function appFinding({ docker }: LabContext): Promise<Finding> {
  const reference = readLabEnvironment()?.HOLDFAST_IMAGE;
  const here = reference !== undefined && (await docker.imageId(reference)) !== null;
  if (here) return good('Holdfast', `${reference}, built here at the last set-up`);
  const mend = ['make up builds it'];
  return { verdict: 'later', name: 'Holdfast', found: 'no image yet', mend };
}

async function portFindings({ config, docker }: LabContext): Promise<Finding[]> {
  const label = `com.docker.compose.project=${config.project}`;
  const services = await docker.containers([label]);
  const taken = await takenPorts(config, docker, new Set(services.map(({ name }) => name)));
  if (taken.length > 0) {
    return taken.map((one) => ({
      verdict: 'bad',
      name: 'port',
      found: describeTaken(one),
      mend: [`free it, or: ${one.variable}=${one.instead ?? one.port + 1} make up`],
    }));
  }
  const ports = PORTS.map(({ key }) => config[key]).join(', ');
  return [good('ports', `${ports} on 127.0.0.1, free or this lab's own`)];
}

async function serviceFindings({ config, docker }: LabContext): Promise<Finding[]> {
  const services = await docker.containers([`com.docker.compose.project=${config.project}`]);
  const down = services.filter(({ state }) => state !== 'running');
  if (services.length === 0) {
    return [{ verdict: 'later', name: 'services', found: 'not running', mend: ['make up'] }];
  }
  if (down.length === 0)
    return [good('services', services.map(({ service }) => service).join(', '))];
  return down.map(({ service, status }) => ({
    verdict: 'bad',
    name: service,
    found: status,
    mend: ['make up starts it again; ./holdfast logs says how it ended'],
  }));
}

async function diskFindings({ docker }: LabContext): Promise<Finding[]> {
  return (await freeBytes(docker)).map(({ path, bytes }) =>
    bytes >= DISK_BYTES_MIN
      ? good('disk', `${gigabytes(bytes)} free at ${path}`)
      : {
          verdict: 'bad',
          name: 'disk',
          found: `${gigabytes(bytes)} free at ${path}, ${gigabytes(DISK_BYTES_MIN)} are needed`,
          mend: ['docker system df shows what the engine keeps; docker system prune frees some'],
        },
  );
}

function secretFinding(): Finding {
  if (!existsSync(PATHS.token)) {
    const mend = ['make up makes it'];
    return { verdict: 'later', name: 'secret', found: 'none yet', mend };
  }
  const open = (statSync(PATHS.secrets).mode & 0o077) !== 0;
  if (!open) return good('secret', join('.lab', 'secrets', 'token'));
  const mend = ['chmod 0700 .lab/secrets'];
  return { verdict: 'bad', name: 'secret', found: 'its folder is open to other users', mend };
}
