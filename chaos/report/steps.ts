/** What was done to the pipeline, when, what shows that it bit, and how fast it came back. */

import { duration, number } from '#pages/figures.ts';
import { html, type Markup } from '#pages/html.ts';
import type { Observations } from '../oracle/observations.ts';
import type { RepeatReport } from './document.ts';

/** Milliseconds from the first observation. */
export interface Step {
  /** Null where it is not known. */
  readonly from_ms: number | null;
  /** Null for what has no length, or was not seen to end. */
  readonly to_ms: number | null;
  readonly what: string;
  readonly detail: string;
  readonly tone: 'plain' | 'warn' | 'bad';
}

type Timed = Step & { readonly from_ms: number };

/** `startUs`: of the first observation, in microseconds since 1970 UTC. */
export function stepsOf(observations: Observations, startUs: number): Step[] {
  const { faults, exits, operator_actions, harness_failures, drain } = observations;
  const since = (at: { readonly wall_us: number }) => (at.wall_us - startUs) / 1_000;
  const steps = [
    ...faults.map(({ name, target, began, running, bit, evidence }): Timed => {
      return {
        from_ms: since(began),
        to_ms: running && since(running),
        what: `${name} (${target})`,
        detail: bit ? evidence : `It was not seen to bite: ${evidence}`,
        tone: bit ? 'plain' : 'warn',
      };
    }),
    ...exits.map(({ at, process, code, signal, injected }): Timed => {
      return {
        from_ms: since(at),
        to_ms: null,
        what: `${process} ended`,
        detail: `${signal ?? `exit code ${code}`}, ${injected ? 'as the scenario had it' : 'by itself'}`,
        tone: injected ? 'plain' : 'bad',
      };
    }),
    ...operator_actions.map(({ at, what }): Timed => {
      return {
        from_ms: since(at),
        to_ms: null,
        what: 'somebody had to help',
        detail: what,
        tone: 'bad',
      };
    }),
  ].sort((a, b) => a.from_ms - b.from_ms);
  const failures = harness_failures.map((text): Step => {
    return {
      from_ms: null,
      to_ms: null,
      what: 'the scenario went wrong',
      detail: text,
      tone: 'warn',
    };
  });
  return [...steps, ...failures, ...(drain === null ? [] : [drainStep(drain)])];
}

function drainStep({ outcome, waited_ms }: NonNullable<Observations['drain']>): Step {
  const drained = outcome === 'drained';
  return {
    from_ms: null,
    to_ms: null,
    what: 'the load was ended',
    detail: drained
      ? `the rest of the backlog was in ${duration(waited_ms)} later`
      : `the backlog was not in after ${duration(waited_ms)} of waiting`,
    tone: drained ? 'plain' : 'bad',
  };
}

export function stepTable(steps: readonly Step[]): Markup | null {
  if (steps.length === 0) return null;
  return html`<h4>What was done</h4>
<table class="steps">
<thead><tr><th scope="col" class="at">From</th><th scope="col" class="at">To</th><th scope="col" class="what">What</th><th scope="col">What was seen of it</th></tr></thead>
<tbody>${steps.map(
    ({
      from_ms,
      to_ms,
      what,
      detail,
      tone,
    }) => html`<tr><td class="at${from_ms === null ? ' none' : ''}" data-label="From">${from_ms === null ? '–' : at(from_ms)}</td><td class="at${to_ms === null ? ' none' : ''}" data-label="To">${to_ms === null ? '–' : at(to_ms)}</td><td class="text"><strong>${what}</strong></td><td class="text ${tone}">${detail}</td></tr>
`,
  )}</tbody>
</table>`;
}

/** Seconds from the start, to line up with the picture. */
function at(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}

export function faultTable({ faults, limits }: RepeatReport): Markup | null {
  if (faults.length === 0) return null;
  const asked = [
    limits.detect_ms_max === null ? '' : `noticed within ${duration(limits.detect_ms_max)}`,
    limits.recover_ms_max === null ? '' : `recovered within ${duration(limits.recover_ms_max)}`,
    limits.drain_ms_max === null ? '' : `drained within ${duration(limits.drain_ms_max)}`,
  ].filter((part) => part !== '');
  const disturbed = faults.some(({ disturbed: one }) => one.recovery || one.drain);
  const cell = (label: string, value: string, mark = false) =>
    html`<td class="n${value === '–' ? ' none' : ''}" data-label="${label}"><span>${value}${mark && value !== '–' ? '\u2009†' : ''}</span></td>`;
  return html`<h4>How fast it came back</h4>
<table class="figures">
<caption>Since what was hit worked again${asked.length > 0 && `; asked for: ${asked.join(', ')}`}${disturbed && '; † another fault fell into it, so this says nothing of the product'}.</caption>
<thead><tr><th scope="col">Fault</th><th scope="col" class="n">Waited in it</th><th scope="col" class="n">Noticed</th><th scope="col" class="n">Worked again</th><th scope="col" class="n">First stored</th><th scope="col" class="n">First ack</th><th scope="col" class="n">Drained</th></tr></thead>
<tbody>${faults.map(
    ({ name, queued, detect_ms, restart_ms, since_running: since, disturbed: by }) => {
      return html`<tr><th scope="row">${name}</th>${cell('Waited in it', number(queued))}${cell('Noticed', duration(detect_ms))}${cell('Worked again', duration(restart_ms))}${cell('First stored', duration(since?.stored_ms), by.recovery)}${cell('First ack', duration(since?.acked_ms), by.recovery)}${cell('Drained', duration(since?.drained_ms), by.drain)}</tr>
`;
    },
  )}</tbody>
</table>`;
}
