/**
 * The display of a command's steps: a live list on a terminal, plain lines elsewhere. The only file
 * that knows listr2. What the steps do is none of its business.
 */
import {
  type DefaultRenderer,
  Listr,
  type ListrTask,
  type ListrTaskWrapper,
  PRESET_TIMER,
  type SimpleRenderer,
} from 'listr2';

/** What a step may say while it runs. */
export interface Step {
  /** Something that the reader should still see afterwards, such as what is being installed. */
  note(text: string): void;
  /** Where a long step is; only the newest is shown, and only on a terminal. */
  progress(text: string): void;
}

/** A step: `run` does it and returns its result in a few words; or several at the same time. */
export type StepPlan =
  | { title: string; run: (step: Step) => Promise<string> }
  | { title: string; parallel: readonly StepPlan[] };

const PROGRESS_CHARS_MAX = 60;

type Task = ListrTask<unknown, typeof DefaultRenderer, typeof SimpleRenderer>;
type RunningTask = ListrTaskWrapper<unknown, typeof DefaultRenderer, typeof SimpleRenderer>;

/**
 * Runs the steps in their order. The first failure ends the list and is thrown; what runs
 * beside it is ended by the caller, who holds the signal that all programs are run under.
 */
export async function runSteps(plans: readonly StepPlan[]): Promise<void> {
  const timer = { ...PRESET_TIMER, condition: (ms: number | undefined) => (ms ?? 0) > 1000 };
  const list = new Listr<unknown, 'default', 'simple'>(plans.map(toTask), {
    renderer: 'default',
    fallbackRenderer: 'simple',
    // main.ts owns the signals; listr2's own handler would exit in the middle of a step.
    registerSignalListeners: false,
    rendererOptions: { collapseSubtasks: false, showErrorMessage: false, timer },
    fallbackRendererOptions: { timer },
  });
  await list.run({});
}

function toTask(plan: StepPlan): Task {
  const { title } = plan;
  if ('parallel' in plan) {
    const options = { concurrent: true, exitOnError: true };
    return { title, task: (_, task) => task.newListr(plan.parallel.map(toTask), options) };
  }
  return {
    title,
    task: async (_, task) => {
      const result = await plan.run(stepOf(title, task));
      task.title = result === '' ? title : `${title}: ${result}`;
    },
    rendererOptions: { persistentOutput: true, outputBar: Number.POSITIVE_INFINITY },
  };
}

function stepOf(title: string, task: RunningTask): Step {
  const live = process.stdout.isTTY === true;
  return {
    note: (text) => {
      task.output = text;
    },
    progress: (text) => {
      if (live) task.title = `${title}: ${text.trim().slice(0, PROGRESS_CHARS_MAX)}`;
    },
  };
}
