/**
 * rsyslog: RELP into an edge with its queue on disk, RELP over the link, a central that writes a file
 * of one record a line. Each hop acknowledges, the end does not: an edge's ack says that its queue has
 * the record.
 *
 * As the usual recipe has it, with a queue in memory that spills to disk; and with a queue of files
 * that are synced, as is what the central writes. Both with a larger window than RELP's 128 records:
 * with that the former waits for acknowledgements most of the time and drains at some 2,900 a second.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from '#lab/ports.ts';
import { Arrivals, SinkFile } from './arrivals.ts';
import { assembled } from './assembled.ts';
import { configured, printed } from './configuration.ts';
import { dial } from './dial.ts';
import { Window } from './handover.ts';
import type { Peer, PeerKind, PeerStart } from './peer.ts';
import { RelpClient } from './relp.ts';

const UNACKNOWLEDGED_MAX = 4_096;
const MODULES = 'usr/lib/*/rsyslog';
/** In front of a record, as a program's own log would have it (RFC 3164). */
const HEADER = Buffer.from('<13>Jan  1 00:00:00 edge bench: ');

interface Ends {
  readonly edge: readonly string[];
  readonly central: readonly string[];
}

const DISK_ASSISTED: Ends = {
  edge: [
    'global(workDirectory="<directory>")',
    'module(load="imrelp")',
    'module(load="omrelp")',
    'input(type="imrelp" address="127.0.0.1" port="<port>")',
    'action(type="omrelp" target="127.0.0.1" port="<link>" windowSize="4096" action.resumeRetryCount="-1" action.resumeInterval="1" queue.type="LinkedList" queue.filename="edge" queue.saveOnShutdown="on")',
  ],
  central: [
    'module(load="imrelp")',
    'template(name="record" type="string" string="%msg:2:$%\\n")',
    'input(type="imrelp" address="127.0.0.1" port="<port>")',
    'action(type="omfile" file="<directory>/sink" template="record")',
  ],
};

const SYNCED: Ends = {
  edge: [
    'global(workDirectory="<directory>")',
    'module(load="imrelp")',
    'module(load="omrelp")',
    'main_queue(queue.type="Direct")',
    'input(type="imrelp" address="127.0.0.1" port="<port>")',
    'action(type="omrelp" target="127.0.0.1" port="<link>" windowSize="4096" action.resumeRetryCount="-1" action.resumeInterval="1" queue.type="Disk" queue.filename="edge" queue.syncQueueFiles="on" queue.checkpointInterval="1" queue.size="10000000" queue.maxFileSize="1m" queue.saveOnShutdown="on")',
  ],
  central: [
    'module(load="imrelp")',
    'main_queue(queue.type="Direct")',
    'template(name="record" type="string" string="%msg:2:$%\\n")',
    'input(type="imrelp" address="127.0.0.1" port="<port>")',
    'action(type="omfile" file="<directory>/sink" template="record" sync="on")',
  ],
};

export const RSYSLOG_KINDS: readonly PeerKind[] = [
  // Of 200,000, filling and draining were not done after two minutes.
  { ...kindOf('rsyslog', DISK_ASSISTED), synced: false, backlog: 50_000 },
  // Two syncs for each record: on a slow disk some hundreds a second.
  { ...kindOf('rsyslog, synced', SYNCED), synced: true, backlog: 5_000 },
];

function kindOf(name: string, ends: Ends): Omit<PeerKind, 'synced' | 'backlog'> {
  return {
    name,
    packages: ['rsyslog', 'rsyslog-relp'],
    settings: printed(ends.edge, ends.central),
    start: (about) => start(about, ends),
  };
}

async function start(about: PeerStart, ends: Ends): Promise<Peer> {
  await using parts = new AsyncDisposableStack();
  const [port, centralPort] = [await freePort(), await freePort()];
  const link = await about.link(centralPort);
  const arrivals = new Arrivals();

  const centralDirectory = join(about.directory, 'central');
  await mkdir(centralDirectory);
  const sink = new SinkFile(join(centralDirectory, 'sink'), arrivals);
  parts.defer(() => sink.close());
  const central = await rsyslogd(about, centralDirectory, ends.central, { port: centralPort });
  parts.defer(() => central.stop());
  (await dial('rsyslogd', centralPort)).destroy();

  const edgeDirectory = join(about.directory, 'edge');
  await mkdir(edgeDirectory);
  const edge = await rsyslogd(about, edgeDirectory, ends.edge, { port, link: link.port });
  parts.defer(() => edge.stop());

  const window = new Window(UNACKNOWLEDGED_MAX);
  const client = await RelpClient.connect({
    port,
    acknowledged: () => window.acknowledged(),
    failed: (error) => window.fail(error),
  });
  parts.defer(() => client.close());
  const way = {
    window,
    send: (records: readonly Buffer[]) =>
      client.send(records.map((record) => Buffer.concat([HEADER, record]))),
  };
  return assembled({ edge, central, way, arrivals, started: parts });
}

async function rsyslogd(
  { programs, peers }: PeerStart,
  directory: string,
  lines: readonly string[],
  values: Readonly<Record<string, string | number>>,
) {
  const file = join(directory, 'rsyslog.conf');
  await writeFile(file, configured(lines, { directory, ...values }));
  // In the foreground, without a pid file.
  const args = ['-n', '-iNONE', '-f', file, '-M', peers.directory(MODULES)];
  return programs.start(peers.path('rsyslogd'), args, peers.environment);
}
