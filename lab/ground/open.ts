/**
 * The ground of the lab that runs here, for faults and runs. Which one that is: `choose.ts`. The
 * other one's parts are not even loaded.
 */
import type { LabContext } from '#lab/setup.ts';
import { runSteps } from '#lab/steps.ts';
import { groundThatIsThere } from './choose.ts';
import type { Ground } from './ground.ts';

/** @throws LabError `lab_missing` when no lab runs here. */
export async function openGround(context: LabContext): Promise<Ground> {
  switch (groundThatIsThere(context.config.ground, context.files)) {
    case 'process': {
      const { ProcessGround } = await import('./process/ground.ts');
      return ProcessGround.open(context.files);
    }
    case 'compose': {
      const { ComposeGround } = await import('./compose.ts');
      return ComposeGround.open(context);
    }
  }
}

/**
 * Makes what the ability `trace` needs on the ground that runs here, unless it is there. Where it
 * can't be made the ground says so itself (`cannot`).
 * @throws LabError `lab_missing`, `interrupted`
 */
export async function prepareTracing(context: LabContext): Promise<void> {
  if (groundThatIsThere(context.config.ground, context.files) !== 'compose') return;
  const { ComposeGround } = await import('./compose.ts');
  await runSteps([
    {
      title: 'Image with strace',
      run: async (step) => {
        const why = await ComposeGround.prepare(context, step);
        return why === null ? 'there' : `not to be had, so faults of disks are left out: ${why}`;
      },
    },
  ]);
}
