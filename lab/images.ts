/**
 * The three images that the lab runs: the base and Toxiproxy, pulled or stood in for, and
 * Holdfast's own, built on that base. Says where each comes from. How stand-ins are made is in
 * stand-ins.ts, what goes into ours in staging.ts.
 */
import { LAB_SETTINGS, type LabConfig } from '#lab/config.ts';
import type { Docker, Engine } from '#lab/docker.ts';
import { EXIT, LabError } from '#lab/errors.ts';
import { CHECKOUT, PATHS } from '#lab/paths.ts';
import type { Programs } from '#lab/process.ts';
import { contentTag, stage } from '#lab/staging.ts';
import { makeBase, makeToxiproxy, type StandInContext, TOXIPROXY_VERSION } from '#lab/stand-ins.ts';
import type { Step } from '#lab/steps.ts';

/** The first line of a pull must come within this: else the registry counts as out of reach. */
const PULL_FIRST_LINE_MS = 8_000;
/** A pull that has begun may take its time, but not stand still for longer than this. */
const PULL_STALL_MS = 120_000;
const PULL_TIMEOUT_MS = 1_800_000;
const BUILD_TIMEOUT_MS = 600_000;

/** On Holdfast's own images; their tags name the checkout too, so none is another's to remove. */
export const APP_LABEL = `dev.holdfast.app=${CHECKOUT}`;

/** registry: pulled now or earlier; stand-in: made here; named: chosen by a variable. */
type ImageOrigin = 'registry' | 'stand-in' | 'named';

export interface ForeignImage {
  reference: string;
  origin: ImageOrigin;
}

export interface ForeignPlan {
  official: string;
  standIn: string;
  setting: 'baseImage' | 'toxiproxyImage';
  make: (reference: string, context: StandInContext) => Promise<void>;
}

export const BASE: ForeignPlan = {
  official: 'node:26-bookworm-slim',
  standIn: `holdfast-node:${process.versions.node}`,
  setting: 'baseImage',
  make: makeBase,
};

export const TOXIPROXY: ForeignPlan = {
  official: `ghcr.io/shopify/toxiproxy:${TOXIPROXY_VERSION}`,
  standIn: `holdfast-toxiproxy:${TOXIPROXY_VERSION}`,
  setting: 'toxiproxyImage',
  make: makeToxiproxy,
};

/**
 * Which image the engine already holds for a plan; null when one has to be fetched or made. A
 * stand-in counts: a machine that had to make one is not asked about its registry on every start.
 */
export async function imageHere(
  plan: ForeignPlan,
  config: LabConfig,
  docker: Docker,
): Promise<ForeignImage | null> {
  const named = config[plan.setting];
  const candidates: ForeignImage[] =
    named === undefined
      ? [
          { reference: plan.official, origin: 'registry' },
          { reference: plan.standIn, origin: 'stand-in' },
        ]
      : [{ reference: named, origin: 'named' }];
  for (const candidate of candidates) {
    if ((await docker.imageId(candidate.reference)) !== null) return candidate;
  }
  return null;
}

/**
 * Makes sure that the engine holds the image of a plan: here already, else pulled, else stood in
 * for.
 * @throws LabError `image_unavailable` with the pull's and the build's reasons.
 */
export async function ensureForeignImage(
  plan: ForeignPlan,
  context: StandInContext,
): Promise<ForeignImage> {
  const { config, docker, step } = context;
  const here = await imageHere(plan, config, docker);
  if (here !== null) return here;
  const named = config[plan.setting];
  const wanted = named ?? plan.official;
  const failure = await pull(wanted, docker, step);
  if (failure === null) return { reference: wanted, origin: named ? 'named' : 'registry' };
  if (named !== undefined) {
    throw new LabError({
      code: 'image_unavailable',
      exitCode: EXIT.usage,
      message: `${LAB_SETTINGS[plan.setting].name}=${named} is neither here nor can it be pulled`,
      details: [failure],
      next: [`Try it by hand: docker pull ${named}`],
    });
  }
  step.note(`${plan.official} cannot be pulled: ${failure}`);
  await plan.make(plan.standIn, context);
  return { reference: plan.standIn, origin: 'stand-in' };
}

/** Pulls an image; null when it is here, else the reason in a line. */
async function pull(reference: string, docker: Docker, step: Step): Promise<string | null> {
  step.progress(`pulling ${reference}`);
  const started = performance.now();
  let lastLineAt: number | null = null;
  const result = await docker.command(['pull', reference], {
    timeoutMs: PULL_TIMEOUT_MS,
    onLine: (line) => {
      lastLineAt = performance.now();
      step.progress(line);
    },
    giveUp: () =>
      lastLineAt === null
        ? performance.now() - started > PULL_FIRST_LINE_MS
        : performance.now() - lastLineAt > PULL_STALL_MS,
  });
  if (result.exitCode === 0) return null;
  if (result.gaveUp && lastLineAt === null) return 'the registry did not answer in time';
  if (result.gaveUp) return 'the pull stood still';
  return (result.lastLines.at(-1) ?? 'no reason given').replace(
    /^Error response from daemon: /,
    '',
  );
}

/**
 * Builds Holdfast's image unless one of the same content is here, and returns its reference.
 * @throws LabError `command_failed` with the end of the build's output.
 */
export async function ensureAppImage(
  base: ForeignImage,
  context: { programs: Programs; docker: Docker; engine: Engine; step: Step },
): Promise<{ reference: string; built: boolean }> {
  const { docker, engine, step, programs } = context;
  const baseId = (await docker.imageId(base.reference)) ?? base.reference;
  const tagOf = (folder: string) =>
    `holdfast:${CHECKOUT}-${contentTag(folder, baseId, engine.arch)}`;
  const wanted = tagOf(PATHS.root);
  if ((await docker.imageId(wanted)) !== null) return { reference: wanted, built: false };

  const folder = await stage(engine.arch, { programs, step });
  // The tag is made from what was staged: the checkout may have changed since it was looked at.
  const reference = tagOf(folder);
  const args = [
    ...['build', '--tag', reference, '--build-arg', `BASE=${base.reference}`],
    ...['--label', APP_LABEL],
    folder,
  ];
  const result = await docker.command(args, {
    timeoutMs: BUILD_TIMEOUT_MS,
    onLine: step.progress,
  });
  if (result.exitCode === 0) return { reference, built: true };
  throw new LabError({
    code: 'command_failed',
    message: `could not build the image on ${base.reference}`,
    details: result.lastLines,
    next: [`To see it whole: docker build --build-arg BASE=${base.reference} ${folder}`],
  });
}
