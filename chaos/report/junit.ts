/**
 * `junit.xml` for CI: one test case for each scenario, or for each repeat of it. What did not hold
 * is a failure, what could not be judged an error, what was not run is skipped. Valid against the
 * schema that Jenkins' xUnit plugin reads (junit-10.xsd).
 */

import { html, type Markup } from '#pages/html.ts';
import { commandFor } from './again.ts';
import type { RepeatReport, Report, ScenarioReport } from './document.ts';

export function junitOf(report: Report): string {
  const cases = report.scenarios.flatMap((scenario) =>
    scenario.repeats.map((repeat) => testCase(report, scenario, repeat)),
  );
  const having = (...outcomes: readonly string[]) =>
    report.scenarios
      .flatMap(({ repeats }) => repeats)
      .filter(({ outcome }) => outcomes.includes(outcome)).length;
  const counts = html`tests="${cases.length}" failures="${having('fail')}" errors="${having('inconclusive', 'interrupted')}"`;
  const time = seconds(report.duration_ms);
  const { text } = html`<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="holdfast chaos" ${counts} time="${time}">
<testsuite name="holdfast.${report.kind}" ${counts} skipped="${having('not_run')}" time="${time}" timestamp="${report.started_at}">
<properties>
<property name="seed" value="${report.seed}"/>
<property name="ground" value="${report.ground}"/>
<property name="version" value="${report.product.version}"/>
<property name="command" value="${report.command}"/>
</properties>
${cases}</testsuite>
</testsuites>
`;
  return text;
}

function testCase(report: Report, { name, repeats }: ScenarioReport, one: RepeatReport): Markup {
  const full = repeats.length > 1 ? `${name} (${one.repeat} of ${repeats.length})` : name;
  return html`<testcase classname="holdfast.${report.kind}" name="${full}" time="${seconds(one.duration_ms)}">${outcomeOf(one, commandFor(report, name, one))}</testcase>
`;
}

function outcomeOf(
  { outcome, reason, reasons, folder }: RepeatReport,
  command: string,
): Markup | null {
  const lines = reasons.map(({ verdict, code, text }) => `${verdict}: ${code}: ${text}`);
  const text = [
    ...(lines.length > 0 ? lines : [reason]),
    `evidence: ${folder ?? 'none'}`,
    `again: ${command}`,
  ].join('\n');
  const type = reasons.find(({ verdict }) => verdict === outcome)?.code ?? outcome;
  const message = reason === '' ? (reasons[0]?.text ?? outcome) : reason;
  switch (outcome) {
    case 'pass':
      return null;
    case 'not_run':
      return html`<skipped message="${reason}"/>`;
    case 'fail':
      return html`<failure type="${type}" message="${message}">${text}</failure>`;
    case 'inconclusive':
    case 'interrupted':
      return html`<error type="${type}" message="${message}">${text}</error>`;
    default:
      return outcome satisfies never;
  }
}

function seconds(ms: number | null): string {
  return ((ms ?? 0) / 1_000).toFixed(3);
}
