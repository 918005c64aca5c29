/**
 * Space on file systems, as `df` sees them from where the collector runs: in a container these are
 * the container's mounts, but the numbers are those of the host's file systems beneath them.
 */
import { fsSize, type Systeminformation } from 'systeminformation';
import { type Metric, metric } from '../sample.ts';

/** A host of many containers has an overlay for each; they all repeat the disk beneath. */
const FILE_SYSTEMS_MAX = 32;

export async function readFilesystem(): Promise<Metric[]> {
  return filesystemMetrics(await fsSize());
}

/** Exported for its choice of file systems and its arithmetic. */
export function filesystemMetrics(rows: readonly Systeminformation.FsSizeData[]): Metric[] {
  const seen = new Set<string>();
  const chosen = rows.filter(({ fs, type, mount, size }) => {
    const layered = type === 'overlay' && mount !== '/';
    if (layered || !(size > 0) || (type !== 'overlay' && seen.has(fs))) return false;
    seen.add(fs);
    return true;
  });
  if (chosen.length === 0) throw new Error('df shows no file system');
  return chosen.slice(0, FILE_SYSTEMS_MAX).flatMap(metricsOf);
}

function metricsOf(row: Systeminformation.FsSizeData): Metric[] {
  const attributes = {
    'system.device': row.fs,
    'system.filesystem.mountpoint': row.mount,
    'system.filesystem.type': row.type,
    'system.filesystem.mode': row.rw === false ? 'ro' : 'rw',
  };
  const states = {
    used: row.used,
    free: row.available,
    reserved: Math.max(0, row.size - row.used - row.available),
  };
  return [
    metric('system.filesystem.limit', 'host', row.size, attributes),
    ...Object.entries(states).map(([state, bytes]) =>
      metric('system.filesystem.usage', 'host', bytes, {
        ...attributes,
        'system.filesystem.state': state,
      }),
    ),
    metric(
      'system.filesystem.utilization',
      'host',
      Math.round((row.used / (row.used + row.available)) * 1e4) / 1e4,
      attributes,
    ),
  ];
}
