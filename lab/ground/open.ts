/**
 * The ground of the lab that runs here, for faults and runs. Which one that is: `choose.ts`. The
 * other one's parts are not even loaded.
 */
import type { LabContext } from '#lab/setup.ts';
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
