/**
 * Network counters of the interfaces that are up, loopback left out. They are those of the network
 * namespace in which the collector runs, so in a container they are the container's.
 */
import { networkInterfaces } from 'node:os';
import { networkStats, type Systeminformation } from 'systeminformation';
import { type Metric, metric, type Scope } from '../sample.ts';

const NAMES = {
  host: {
    io: 'system.network.io',
    errors: 'system.network.errors',
    dropped: 'system.network.packet.dropped',
  },
  container: {
    io: 'container.network.io',
    errors: 'container.network.errors',
    dropped: 'container.network.packet.dropped',
  },
} as const;

const INTERFACES_MAX = 32;

/** An empty list where there is nothing but loopback: that is a fact, not a failure. */
export async function readNetwork(scope: Scope): Promise<Metric[]> {
  const names = outsideInterfaces(networkInterfaces());
  // Without names systeminformation would look for a default one, and answer a nameless row.
  if (names.length === 0) return [];
  return networkMetrics(await networkStats(names.join(',')), scope);
}

function outsideInterfaces(interfaces: ReturnType<typeof networkInterfaces>): string[] {
  const names = Object.entries(interfaces)
    .filter(([, addresses]) => addresses?.some(({ internal }) => !internal))
    // An alias such as eth0:1 has no counters of its own.
    .map(([name]) => name.split(':')[0] ?? name);
  return [...new Set(names)].slice(0, INTERFACES_MAX);
}

/** Exported for what it leaves out: rows without a name, and rows that were not read at all. */
export function networkMetrics(
  rows: readonly Systeminformation.NetworkStatsData[],
  scope: Scope,
): Metric[] {
  const names = NAMES[scope];
  const metrics: Metric[] = [];
  for (const row of rows) {
    const unread = row.operstate === 'unknown' && row.rx_bytes === 0 && row.tx_bytes === 0;
    if (row.iface === '' || unread) continue;
    const receive = { 'network.interface.name': row.iface, 'network.io.direction': 'receive' };
    const transmit = { 'network.interface.name': row.iface, 'network.io.direction': 'transmit' };
    metrics.push(
      metric(names.io, scope, row.rx_bytes, receive),
      metric(names.io, scope, row.tx_bytes, transmit),
      metric(names.errors, scope, row.rx_errors, receive),
      metric(names.errors, scope, row.tx_errors, transmit),
      metric(names.dropped, scope, row.rx_dropped, receive),
      metric(names.dropped, scope, row.tx_dropped, transmit),
    );
  }
  return metrics;
}
