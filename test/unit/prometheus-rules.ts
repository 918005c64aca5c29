/**
 * Prometheus' rules for names and help, as far as they can be seen in what is exposed: those of
 * `promtool check metrics`, which the integration tests ask too, and a prefix.
 */

const PREFIX = /^(?:holdfast|process|nodejs)_/;
/** What promtool wants to see in base units. */
const UNITS =
  /_(?:milliseconds?|ms|micros(?:econds)?|nanos(?:econds)?|minutes?|hours?|days?|kilobytes?|kb|megabytes?|mb|kibibytes|mebibytes|percent|celsius)(?:_|$)/;
const TYPE_IN_NAME = /_(?:counter|gauge|histogram|summary)(?:_|$)/;
const RESERVED = /_(?:count|sum|bucket)$/;

/** What is wrong with this exposition in the text format; empty when nothing is. */
export function wrongIn(exposition: string): string[] {
  const wrong: string[] = [];
  const helped = new Map(
    [...exposition.matchAll(/^# HELP (\S+) (.*)$/gm)].map(([, name = '', help]) => [name, help]),
  );
  const types = [...exposition.matchAll(/^# TYPE (\S+) (\S+)$/gm)];
  if (types.length === 0) wrong.push('nothing is exposed');
  for (const [, name = '', type] of types) {
    const say = (text: string) => wrong.push(`${name}: ${text}`);
    if (!helped.get(name)) say('has no help');
    if (!/^[a-z][a-z0-9_]*$/.test(name)) say('is not in snake case');
    if (!PREFIX.test(name)) say('has no prefix of ours');
    if (type === 'counter' && !name.endsWith('_total')) say('is a counter without _total');
    if (type !== 'counter' && name.endsWith('_total')) say('is no counter and ends in _total');
    if (RESERVED.test(name)) say('ends like a series of a histogram');
    if (UNITS.test(name)) say('is not in a base unit');
    if (TYPE_IN_NAME.test(name)) say('has its type in its name');
  }
  return wrong;
}
