/**
 * Disk counters. The kernel keeps them for the whole machine, so in a container too they are the
 * host's. systeminformation adds all disks up; it answers zeros, not errors, when it finds none.
 */
import { disksIO, fsStats } from 'systeminformation';
import { type Metric, metric } from '../sample.ts';

const READ = { 'disk.io.direction': 'read' };
const WRITE = { 'disk.io.direction': 'write' };

/** Rejects when no disk can be seen, as in a container without lsblk. */
export async function readDisk(): Promise<Metric[]> {
  const [bytes, operations] = await Promise.all([fsStats(), disksIO()]);
  const metrics: Metric[] = [];
  if (bytes !== null && bytes.tx > 0) {
    metrics.push(
      metric('system.disk.io', 'host', bytes.rx, READ),
      metric('system.disk.io', 'host', bytes.wx, WRITE),
    );
  }
  if (operations !== null && operations.tIO > 0) {
    metrics.push(
      metric('system.disk.operations', 'host', operations.rIO, READ),
      metric('system.disk.operations', 'host', operations.wIO, WRITE),
      metric('system.disk.operation_time', 'host', operations.rWaitTime / 1000, READ),
      metric('system.disk.operation_time', 'host', operations.wWaitTime / 1000, WRITE),
    );
  }
  if (metrics.length === 0) throw new Error('no disk with counters to be seen from here');
  return metrics;
}
