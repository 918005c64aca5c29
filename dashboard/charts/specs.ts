/**
 * Which charts there are, and which of a collector's series are the lines in each. Pure. Samples of
 * the collector have charts of their own; other numbers get one for each metric.
 */
import type { Column } from '../columns.ts';
import { gaugeLine, type Line, rateLine, sumLine } from '../lines.ts';

export interface ChartSpec {
  readonly id: string;
  readonly title: string;
  /** UCUM, as in samples. */
  readonly unit: string;
  readonly metrics: readonly string[];
  readonly lines: (columns: readonly Column[], width: number) => Line[];
  /** The greatest number that there can be. */
  readonly limit?: (columns: readonly Column[]) => number | undefined;
  /** What to say where there is none. */
  readonly empty?: string;
}

export const LAG_METRIC = 'holdfast.delivery.lag';
export const STATE_METRIC = 'holdfast.producer.state';

/** Others of the host are copies of what these carry: bridges, containers' ends, tunnels. */
const INNER_INTERFACE = /^(veth|br-|docker|virbr|cni|flannel|cali|lo\b)/;
const LINES_MAX = 4;
const OTHERS_MAX = 8;
/** Named by the collector; what of these is not charted is left out on purpose. */
const OURS = /^(system|container|process|holdfast)\./;

const SPECS: readonly ChartSpec[] = [
  {
    id: 'cpu',
    title: 'CPU',
    unit: '1',
    metrics: ['system.cpu.utilization'],
    lines: (columns, width) => [
      ...gauge(columns, width, 'busy', { 'cpu.mode': undefined, 'cpu.logical_number': undefined }),
      ...gauge(columns, width, 'user', { 'cpu.mode': 'user' }),
      ...gauge(columns, width, 'system', { 'cpu.mode': 'system' }),
    ],
    limit: () => 1,
  },
  {
    id: 'queue',
    title: 'Queue on the collector’s disk',
    unit: '{frame}',
    metrics: ['holdfast.queue.frames'],
    lines: (columns, width) => gauge(columns, width, 'frames', {}),
    empty: 'this collector’s samples don’t tell the depth of its queue',
  },
  {
    id: 'lag',
    title: 'Delivery lag',
    unit: 's',
    metrics: [LAG_METRIC],
    lines: (columns, width) => gauge(columns, width, 'capture to store', {}),
    empty: 'this server keeps no delivery lag',
  },
  {
    id: 'memory',
    title: 'Memory',
    unit: 'By',
    metrics: ['system.memory.usage', 'system.memory.limit'],
    lines: (columns, width) => {
      const usage = columns.filter(({ metric }) => metric === 'system.memory.usage');
      return ['used', 'cached', 'free'].flatMap((state) =>
        gauge(usage, width, state, { 'system.memory.state': state }),
      );
    },
    limit: (columns) => columns.find(({ metric }) => metric === 'system.memory.limit')?.max.at(-1),
  },
  {
    id: 'load',
    title: 'Load',
    unit: '{thread}',
    metrics: ['1m', '5m', '15m'].map((time) => `system.cpu.load_average.${time}`),
    lines: (columns, width) =>
      ['1m', '5m', '15m'].flatMap((time) => {
        const name = `system.cpu.load_average.${time}`;
        const of = columns.filter(({ metric }) => metric === name);
        return gauge(of, width, time.replace('m', ' min'), {});
      }),
  },
  {
    id: 'network',
    title: 'Network',
    unit: 'By/s',
    metrics: ['system.network.io', 'container.network.io'],
    lines: (columns, width) => {
      const outer = columns.filter(
        ({ attributes }) => !INNER_INTERFACE.test(attributes['network.interface.name'] ?? ''),
      );
      const chosen = outer.length > 0 ? outer : columns;
      return [
        ...rate(chosen, width, 'received', { 'network.io.direction': 'receive' }),
        ...rate(chosen, width, 'sent', { 'network.io.direction': 'transmit' }),
      ];
    },
  },
  {
    id: 'disk',
    title: 'Disk I/O',
    unit: 'By/s',
    metrics: ['system.disk.io'],
    lines: (columns, width) => [
      ...rate(columns, width, 'read', { 'disk.io.direction': 'read' }),
      ...rate(columns, width, 'written', { 'disk.io.direction': 'write' }),
    ],
  },
  {
    id: 'filesystem',
    title: 'File systems',
    unit: '1',
    metrics: ['system.filesystem.utilization'],
    lines: (columns, width) =>
      columns
        .map((column) => gaugeLine(mountOf(column), column, width))
        .sort((a, b) => a.label.localeCompare(b.label))
        .slice(0, LINES_MAX),
    limit: () => 1,
  },
];

/** What one answer has at most: with more it is refused as a whole. */
const SERIES_MAX = 500;

/**
 * Which metrics are to be asked for: at most 32, which is what one question may have. Those that have
 * too many series to go into one answer with the ones before them are left out.
 * @param series the metric of each series that there is.
 */
export function metricsOf(series: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const metric of series) counts.set(metric, (counts.get(metric) ?? 0) + 1);
  const ours = new Set([STATE_METRIC, ...SPECS.flatMap(({ metrics }) => metrics)]);
  let room = SERIES_MAX;
  return [...ours, ...othersOf([...counts.keys()])].filter((metric) => {
    const count = counts.get(metric) ?? 0;
    if (count === 0 || count > room) return false;
    room -= count;
    return true;
  });
}

/** The charts for what is there, each with its own columns. */
export function chartsOf(columns: readonly Column[]): ChartSpec[] {
  const metrics = [...new Set(columns.map(({ metric }) => metric))];
  const isSample = SPECS.some(
    (spec) => spec.id !== 'lag' && spec.metrics.some((name) => metrics.includes(name)),
  );
  const own = isSample || metrics.length === 0 ? SPECS : SPECS.filter(({ id }) => id === 'lag');
  const others = othersOf(metrics).map((metric) => otherSpec(metric, columns));
  return isSample || others.length === 0 ? [...own, ...others] : [...others, ...own];
}

function othersOf(metrics: readonly string[]): string[] {
  return metrics.filter((metric) => !OURS.test(metric)).slice(0, OTHERS_MAX);
}

function otherSpec(metric: string, all: readonly Column[]): ChartSpec {
  const unit = all.find((column) => column.metric === metric)?.unit ?? '';
  return {
    id: `other ${metric}`,
    title: metric,
    // A share is what `1` means in our samples; others may count with it.
    unit: unit === '1' ? '' : unit,
    metrics: [metric],
    lines: (columns, width) =>
      columns
        .filter((column) => column.unit === unit)
        .slice(0, LINES_MAX)
        .map((column) => gaugeLine(attributesText(column) || 'value', column, width)),
  };
}

type Wanted = Readonly<Record<string, string | undefined>>;

/** Undefined: without that attribute. */
function matching(columns: readonly Column[], wanted: Wanted): Column[] {
  return columns.filter(({ attributes }) =>
    Object.entries(wanted).every(([name, value]) => attributes[name] === value),
  );
}

function gauge(columns: readonly Column[], width: number, label: string, wanted: Wanted): Line[] {
  const [column] = matching(columns, wanted);
  return column === undefined ? [] : [gaugeLine(label, column, width)];
}

function rate(columns: readonly Column[], width: number, label: string, wanted: Wanted): Line[] {
  const lines = matching(columns, wanted).map((column) => rateLine(label, column, width));
  const sum = sumLine(label, lines);
  return sum === undefined ? [] : [sum];
}

function mountOf({ attributes }: Column): string {
  return attributes['system.filesystem.mountpoint'] ?? attributes['system.device'] ?? 'unknown';
}

function attributesText({ attributes }: Column): string {
  return Object.entries(attributes)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ');
}
