/** How to have one scenario of a run again, as it was. */
import { basename } from 'node:path';
import type { RepeatReport, Report } from './document.ts';

type Asked = Pick<Report, 'kind' | 'command' | 'seed' | 'ground'>;

/**
 * What to type. Chance is drawn from the seed by name and repeat, so a later repeat takes those
 * before it along. Random runs are one scenario: their own command is it.
 */
export function commandFor(
  { kind, command, seed, ground }: Asked,
  name: string,
  { repeat }: Pick<RepeatReport, 'repeat'>,
): string {
  if (kind !== 'scenarios') return command;
  // A file of one's own was named by its path.
  const given = command.split(' ').find((word) => basename(word).replace(/\.ya?ml$/, '') === name);
  return [
    `./holdfast chaos ${given ?? name} --seed ${seed}`,
    ...(repeat > 1 ? [`--repeat ${repeat}`] : []),
    ...(ground === 'process' ? ['--ground process'] : []),
  ].join(' ');
}
