/**
 * A benchmark's helper process and its parent: commands go down the channel that Node opens between
 * them, one answer comes back for each.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { BenchError } from './errors.ts';

interface Request<C> {
  readonly id: number;
  readonly command: C;
}

type Answer<F> =
  | { readonly id: number; readonly facts: F }
  | { readonly id: number; readonly error: string };

/** In the child: performs commands as they come. Ends after `close`, or with the parent. */
export function answerCommands<C extends { readonly type: string }, F>(
  perform: (command: C) => Promise<F>,
): void {
  process.on('disconnect', () => process.exit(0));
  process.on('message', async ({ id, command }: Request<C>) => {
    const answer = await perform(command).then(
      (facts): Answer<F> => ({ id, facts }),
      (error: unknown): Answer<F> => ({
        id,
        error: error instanceof Error ? (error.stack ?? error.message) : String(error),
      }),
    );
    process.send?.(answer, () => {
      if (command.type === 'close') process.exit(0);
    });
  });
}

/** In the parent: asks a child. */
export class Child<C extends { readonly type: string }, F> {
  readonly #child: ChildProcess;
  /** The end of what it said; told when it ends before its time. */
  readonly #lastWords: () => readonly string[];
  readonly #asked = new Map<number, (answer: Answer<F>) => void>();
  #lastId = 0;

  constructor(child: ChildProcess, lastWords: () => readonly string[]) {
    this.#child = child;
    this.#lastWords = lastWords;
    child.on('message', (answer: Answer<F>) => this.#asked.get(answer.id)?.(answer));
    child.once('exit', () => {
      const error = ['a process of the benchmark ended', ...this.#lastWords()].join('\n');
      for (const [id, tell] of this.#asked) tell({ id, error });
    });
  }

  /** Resolves when it is done. Throws BenchError when it failed or the child has ended. */
  async ask(command: C): Promise<F> {
    this.#lastId += 1;
    const request: Request<C> = { id: this.#lastId, command };
    const answer = await new Promise<Answer<F>>((resolve) => {
      this.#asked.set(request.id, resolve);
      this.#child.send(request, (error) => {
        if (error) resolve({ id: request.id, error: error.message });
      });
    });
    this.#asked.delete(request.id);
    if ('error' in answer) throw new BenchError(`${command.type}: ${answer.error}`);
    return answer.facts;
  }

  /** Sends the command that ends it, and waits until it has. */
  async close(command: C): Promise<void> {
    const ended = once(this.#child, 'exit');
    await this.ask(command);
    await ended;
  }
}
