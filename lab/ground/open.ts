/**
 * The ground of the lab that runs here, for faults and runs. Which one that is: `choose.ts`. The
 * other one's parts are not even loaded.
 */
import { EXIT, LabError } from '#lab/errors.ts';
import type { LabContext } from '#lab/setup.ts';
import { groundThatIsThere } from './choose.ts';
import type { Ground } from './ground.ts';

/** @throws LabError `ground_missing` when no lab runs here. */
export async function openGround(context: LabContext): Promise<Ground> {
  switch (groundThatIsThere(context.config.ground, context.files)) {
    case 'process': {
      const { ProcessGround } = await import('./process/ground.ts');
      return ProcessGround.open(context.files);
    }
    case 'compose':
      throw new LabError({
        code: 'ground_missing',
        exitCode: EXIT.usage,
        message: 'faults can be done to a lab that runs as processes, and none does here',
        next: ['To start it: make down, then HOLDFAST_GROUND=process make up'],
      });
  }
}
