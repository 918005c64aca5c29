/**
 * The metrics that a sample can hold: name, unit, instrument, and what the numbers mean. A probe
 * can only make metrics that stand here, and `docs/metrics.md` shows exactly this table.
 *
 * Names, units and attributes are those of OpenTelemetry's semantic conventions ("system",
 * "container" and "process" metrics). Where these have no name for something, `origin` says whose
 * name was taken; what only a producer has begins with `holdfast.`. Not here: how a value is measured (`probes/`).
 */

export interface MetricDefinition {
  /**
   * `gauge`: the value at one moment, or over the time since the previous one. `counter`: a total
   * that only grows until the thing that is counted starts anew. `updowncounter`: an amount that
   * can be summed over its attributes.
   */
  readonly instrument: 'gauge' | 'counter' | 'updowncounter';
  /** UCUM, as the conventions write it: `By` are bytes, `1` is a share of 1. */
  readonly unit: string;
  readonly attributes: readonly string[];
  readonly origin: 'semantic conventions' | 'host metrics receiver' | 'by analogy' | 'Holdfast';
  readonly meaning: string;
}

const DIRECTION = ['network.interface.name', 'network.io.direction'] as const;
const FILE_SYSTEM = [
  'system.device',
  'system.filesystem.mountpoint',
  'system.filesystem.type',
  'system.filesystem.mode',
] as const;

export const CATALOGUE = {
  'system.cpu.utilization': {
    instrument: 'gauge',
    unit: '1',
    attributes: ['cpu.mode', 'cpu.logical_number'],
    origin: 'semantic conventions',
    meaning:
      'Share of CPU time since the previous reading. Without attributes: busy, over all CPUs; with cpu.mode: that mode, over all CPUs; with cpu.logical_number: busy, that CPU.',
  },
  'system.cpu.load_average.1m': {
    instrument: 'gauge',
    unit: '{thread}',
    attributes: [],
    origin: 'host metrics receiver',
    meaning: 'Threads that run or wait to run, averaged over one minute.',
  },
  'system.cpu.load_average.5m': {
    instrument: 'gauge',
    unit: '{thread}',
    attributes: [],
    origin: 'host metrics receiver',
    meaning: 'The same over five minutes.',
  },
  'system.cpu.load_average.15m': {
    instrument: 'gauge',
    unit: '{thread}',
    attributes: [],
    origin: 'host metrics receiver',
    meaning: 'The same over fifteen minutes.',
  },
  'system.uptime': {
    instrument: 'gauge',
    unit: 's',
    attributes: [],
    origin: 'semantic conventions',
    meaning: 'Time since the host started.',
  },
  'system.memory.limit': {
    instrument: 'updowncounter',
    unit: 'By',
    attributes: [],
    origin: 'semantic conventions',
    meaning: "The host's memory, whatever the container may use of it.",
  },
  'system.memory.usage': {
    instrument: 'updowncounter',
    unit: 'By',
    attributes: ['system.memory.state'],
    origin: 'semantic conventions',
    meaning: 'Memory by state: used, free, buffers, cached. The states add up to the limit.',
  },
  'system.memory.utilization': {
    instrument: 'gauge',
    unit: '1',
    attributes: ['system.memory.state'],
    origin: 'semantic conventions',
    meaning: 'The same as shares of the limit.',
  },
  'system.memory.linux.available': {
    instrument: 'updowncounter',
    unit: 'By',
    attributes: [],
    origin: 'semantic conventions',
    meaning: "The kernel's estimate of what new programs could get without swapping.",
  },
  'system.paging.usage': {
    instrument: 'updowncounter',
    unit: 'By',
    attributes: ['system.paging.state'],
    origin: 'semantic conventions',
    meaning: 'Swap by state: used, free. Left out on a host without swap.',
  },
  'container.memory.usage': {
    instrument: 'updowncounter',
    unit: 'By',
    attributes: [],
    origin: 'semantic conventions',
    meaning: "Memory charged to the collector's container, page cache included.",
  },
  'container.memory.limit': {
    instrument: 'updowncounter',
    unit: 'By',
    attributes: [],
    origin: 'by analogy',
    meaning: 'What the container may use. Left out when it has no limit of its own.',
  },
  'system.disk.io': {
    instrument: 'counter',
    unit: 'By',
    attributes: ['disk.io.direction'],
    origin: 'semantic conventions',
    meaning: 'Bytes read and written, over all devices with a mounted file system.',
  },
  'system.disk.operations': {
    instrument: 'counter',
    unit: '{operation}',
    attributes: ['disk.io.direction'],
    origin: 'semantic conventions',
    meaning: 'Finished reads and writes, over all disks.',
  },
  'system.disk.operation_time': {
    instrument: 'counter',
    unit: 's',
    attributes: ['disk.io.direction'],
    origin: 'semantic conventions',
    meaning: 'Time that these took, each counted in full, over all disks.',
  },
  'system.filesystem.limit': {
    instrument: 'updowncounter',
    unit: 'By',
    attributes: FILE_SYSTEM,
    origin: 'semantic conventions',
    meaning: 'Size of the file system.',
  },
  'system.filesystem.usage': {
    instrument: 'updowncounter',
    unit: 'By',
    attributes: [...FILE_SYSTEM, 'system.filesystem.state'],
    origin: 'semantic conventions',
    meaning: 'Space by state: used, free, reserved (for the superuser). They add up to the limit.',
  },
  'system.filesystem.utilization': {
    instrument: 'gauge',
    unit: '1',
    attributes: FILE_SYSTEM,
    origin: 'semantic conventions',
    meaning: 'Used share of what ordinary users can have, as df shows it.',
  },
  'system.network.io': {
    instrument: 'counter',
    unit: 'By',
    attributes: DIRECTION,
    origin: 'semantic conventions',
    meaning: 'Bytes received and transmitted by an interface of the host.',
  },
  'system.network.errors': {
    instrument: 'counter',
    unit: '{error}',
    attributes: DIRECTION,
    origin: 'semantic conventions',
    meaning: 'Errors of an interface of the host.',
  },
  'system.network.packet.dropped': {
    instrument: 'counter',
    unit: '{packet}',
    attributes: DIRECTION,
    origin: 'semantic conventions',
    meaning: 'Packets that an interface of the host dropped without an error.',
  },
  'container.network.io': {
    instrument: 'counter',
    unit: 'By',
    attributes: DIRECTION,
    origin: 'semantic conventions',
    meaning: "Bytes received and transmitted by an interface of the container's network namespace.",
  },
  'container.network.errors': {
    instrument: 'counter',
    unit: '{error}',
    attributes: DIRECTION,
    origin: 'by analogy',
    meaning: "Errors of an interface of the container's network namespace.",
  },
  'container.network.packet.dropped': {
    instrument: 'counter',
    unit: '{packet}',
    attributes: DIRECTION,
    origin: 'by analogy',
    meaning: "Packets that an interface of the container's network namespace dropped.",
  },
  'process.cpu.time': {
    instrument: 'counter',
    unit: 's',
    attributes: ['cpu.mode'],
    origin: 'semantic conventions',
    meaning: 'CPU time of the collector itself: user, system.',
  },
  'process.memory.usage': {
    instrument: 'updowncounter',
    unit: 'By',
    attributes: [],
    origin: 'semantic conventions',
    meaning: 'Resident memory of the collector itself.',
  },
  'process.uptime': {
    instrument: 'gauge',
    unit: 's',
    attributes: [],
    origin: 'semantic conventions',
    meaning: 'Time since the collector started.',
  },
  'holdfast.queue.frames': {
    instrument: 'updowncounter',
    unit: '{frame}',
    attributes: [],
    origin: 'Holdfast',
    meaning: 'Frames that wait for the server, this sample not among them.',
  },
  'holdfast.queue.size': {
    instrument: 'updowncounter',
    unit: 'By',
    attributes: [],
    origin: 'Holdfast',
    meaning:
      'What the queue takes on disk, in whole files; without files of which the server has confirmed all, and which are kept in case it loses it.',
  },
  'holdfast.producer.state': {
    instrument: 'gauge',
    unit: '1',
    attributes: ['state'],
    origin: 'Holdfast',
    meaning:
      'By state of the link (Ready, Backoff, Recovering): 1 when it was in that state at any moment since the previous sample, else 0.',
  },
} as const satisfies Record<string, MetricDefinition>;

export type MetricName = keyof typeof CATALOGUE;
