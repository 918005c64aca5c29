/**
 * `status`: services, link, collector and the server's audit on one screen. Each part is asked on
 * its own, so it works, and says what does not, when half of the lab is down.
 */
import { EXIT, type ExitCode, LabError } from '#lab/errors.ts';
import { groundThatIsThere } from '#lab/ground/choose.ts';
import { linkOfLab } from '#lab/ground/link-of-lab.ts';
import { describeLink } from '#lab/link.ts';
import { type AuditedCollector, type CollectorStatus, Pipeline } from '#lab/pipeline.ts';
import { noLab, servicesThere } from '#lab/services.ts';
import type { LabContext } from '#lab/setup.ts';

/** The names of load sources begin with the time of their run (docs/chaos.md). */
const CHAOS_SOURCE = /^chaos-\d{14}-/;

/**
 * Prints the state and returns the exit code: 0 when every part answers.
 * @throws LabError `lab_missing` when nothing runs, and for an engine that only a person can bring to
 *   answer.
 */
export async function status(
  context: LabContext,
  print: (line: string) => void,
): Promise<ExitCode> {
  const services = await servicesThere(context);
  if (services === null) throw noLab();
  const isProcess = groundThatIsThere(context.config.ground, context.files) === 'process';
  print(isProcess ? 'Services, as processes' : 'Services');
  for (const { service, words } of services) print(`  ${service.padEnd(10)} ${words}`);
  const pipeline = new Pipeline(context.config);
  const [link, collector, audit] = await Promise.all([
    lookAtLink(context),
    pipeline.collectorStatus(),
    pipeline.audit(),
  ]);
  print('Link');
  print(`  ${link.text}`);
  print('Collector');
  for (const line of collector.ok ? describeCollector(collector.value) : [collector.reason]) {
    print(`  ${line}`);
  }
  print('Server');
  for (const line of audit.ok ? describeAudits(audit.value) : [audit.reason]) print(`  ${line}`);
  if (audit.ok && audit.value.length === 0) print('  no collector has been heard yet');
  const running = services.every((service) => service.running);
  return running && link.ok && collector.ok && audit.ok ? EXIT.held : EXIT.failed;
}

async function lookAtLink(context: LabContext): Promise<{ ok: boolean; text: string }> {
  try {
    const state = await linkOfLab(context).read();
    const undo = state.kind === 'whole' ? '' : '; undo: make restore';
    return { ok: true, text: `${describeLink(state)}${undo}` };
  } catch (error) {
    if (error instanceof LabError) return { ok: false, text: error.message };
    throw error;
  }
}

export function describeCollector(status: CollectorStatus): string[] {
  const { collector, state, since, next_retry_at: retry, last_error: error, queue } = status;
  const lines = [`${collector ?? 'no id yet'}: ${state ?? 'unknown'} since ${since ?? 'unknown'}`];
  if (retry != null) lines.push(`next attempt at ${retry}`);
  // What came to an end is for the logs: beside a link that is whole it reads as if it stood.
  if (error != null && state !== 'Ready') {
    const at = error.at === undefined ? '' : ` at ${error.at}`;
    lines.push(`last error${at}: ${error.message ?? error.code ?? 'unknown'}`);
  }
  if (queue != null) {
    const oldest =
      queue.oldest_captured_at == null
        ? ''
        : `, the oldest captured at ${queue.oldest_captured_at}`;
    const kept = queue.kept_bytes ? `, ${queue.kept_bytes} of them confirmed and kept` : '';
    lines.push(`queue: ${queue.frames} waiting${oldest}; ${queue.bytes} bytes on disk${kept}`);
  }
  return lines;
}

/** One line for each collector, and one for all sources of chaos runs that are over. */
export function describeAudits(audited: readonly AuditedCollector[]): string[] {
  const over = audited.filter(
    ({ collector, silent_since: since }) => CHAOS_SOURCE.test(collector) && since !== null,
  );
  const lines = audited.filter((one) => !over.includes(one)).map(describeAudit);
  if (over.length === 0) return lines;
  const sum = (name: keyof AuditedCollector['totals']) =>
    over.reduce((all, { totals }) => all + totals[name], 0);
  const totals = {
    ...{ stored: sum('stored'), pending: sum('pending'), missing: sum('missing') },
    ...{ declared: sum('declared'), rejected: sum('rejected') },
  };
  return [
    ...lines,
    `sources of chaos runs that are over: ${over.length}; ${describeTotals(totals)}`,
  ];
}

export function describeAudit(audited: AuditedCollector): string {
  const { collector, totals, silent_since: silentSince } = audited;
  const heard = silentSince === null ? 'connected' : `silent since ${silentSince}`;
  return `${collector}: ${heard}; ${describeTotals(totals)}`;
}

function describeTotals(totals: AuditedCollector['totals']): string {
  const { stored, pending, missing, declared, rejected } = totals;
  return (
    `stored ${stored}, pending ${pending}, missing ${missing}, ` +
    `declared ${declared}, rejected ${rejected}`
  );
}
