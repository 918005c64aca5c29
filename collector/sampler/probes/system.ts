/** What Node tells at once, without a file or a child: load, uptime, and the collector itself. */
import { hostname, loadavg, release, uptime } from 'node:os';
import { type Metric, metric, type Resource, type Scope } from '../sample.ts';

/** The load averages count what the whole machine runs, in a container too. */
export function readLoad(): Metric[] {
  const [oneMinute = Number.NaN, fiveMinutes = Number.NaN, fifteenMinutes = Number.NaN] = loadavg();
  return [
    metric('system.cpu.load_average.1m', 'host', oneMinute),
    metric('system.cpu.load_average.5m', 'host', fiveMinutes),
    metric('system.cpu.load_average.15m', 'host', fifteenMinutes),
  ];
}

export function readUptime(): Metric[] {
  return [metric('system.uptime', 'host', uptime())];
}

export function readProcess(scope: Scope): Metric[] {
  const { user, system } = process.cpuUsage();
  return [
    metric('process.cpu.time', scope, user / 1e6, { 'cpu.mode': 'user' }),
    metric('process.cpu.time', scope, system / 1e6, { 'cpu.mode': 'system' }),
    metric('process.memory.usage', scope, process.memoryUsage.rss()),
    metric('process.uptime', scope, process.uptime()),
  ];
}

/** Who is measured. The version is the kernel's, which is the host's in a container too. */
export function readResource(scope: Scope): Resource {
  return {
    'host.name': hostname(),
    'os.type': process.platform === 'win32' ? 'windows' : process.platform,
    'os.version': release(),
    container: scope === 'container',
  };
}
