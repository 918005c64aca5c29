/**
 * nats-server: JetStream at the edge keeps a stream in files, the edge is a leaf node of the hub, and a
 * stream of the hub mirrors the edge's. A consumer of the mirror tells what the hub has stored.
 *
 * Debian's version has no setting for how often files are synced: every two minutes, so there is no kind
 * of it that syncs before it acknowledges.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from '#lab/ports.ts';
import { BenchError } from '../errors.ts';
import { Arrivals } from './arrivals.ts';
import { assembled } from './assembled.ts';
import { configured, printed } from './configuration.ts';
import { Window } from './handover.ts';
import { NatsClient } from './nats-client.ts';
import type { Peer, PeerKind, PeerStart } from './peer.ts';

const BACKLOG = 200_000;
const UNACKNOWLEDGED_MAX = 4_096;
const STREAM = 'REC';
const SUBJECT = 'rec';
/** Where the edge's acks and the hub's copies are sent to. */
const ACKS = '_INBOX.acks';
const COPIES = 'copies';

const EDGE = [
  'server_name: edge',
  'listen: 127.0.0.1:<port>',
  'jetstream { domain: edge, store_dir: "<directory>" }',
  'leafnodes { reconnect: 1, remotes: [{ url: "nats-leaf://127.0.0.1:<link>" }] }',
];

// Without `advertise` the hub tells its leaf its own address, and the leaf dials that when the link is
// cut; `no_advertise` does not keep it from that.
const HUB = [
  'server_name: hub',
  'listen: 127.0.0.1:<port>',
  'jetstream { domain: hub, store_dir: "<directory>" }',
  'leafnodes { listen: "127.0.0.1:<leaf port>", advertise: "127.0.0.1:<link>" }',
];

const EDGE_STREAM = { name: STREAM, subjects: [SUBJECT], storage: 'file' };
const HUB_STREAM = {
  name: STREAM,
  storage: 'file',
  mirror: { name: STREAM, external: { api: '$JS.edge.API' } },
};

export const NATS_KINDS: readonly PeerKind[] = [
  {
    name: 'nats',
    packages: ['nats-server'],
    synced: false,
    settings: [
      ...printed(EDGE, HUB),
      `edge, stream: ${JSON.stringify(EDGE_STREAM)}`,
      `central, stream: ${JSON.stringify(HUB_STREAM)}`,
    ],
    backlog: BACKLOG,
    start,
  },
];

async function start(about: PeerStart): Promise<Peer> {
  await using parts = new AsyncDisposableStack();
  const [port, hubPort, leafPort] = [await freePort(), await freePort(), await freePort()];
  const link = await about.link(leafPort);
  const window = new Window(UNACKNOWLEDGED_MAX);
  const arrivals = new Arrivals();

  const central = await server(about, 'hub', HUB, {
    port: hubPort,
    'leaf port': leafPort,
    link: link.port,
  });
  parts.defer(() => central.stop());
  const edge = await server(about, 'edge', EDGE, { port, link: link.port });
  parts.defer(() => edge.stop());

  const source = await NatsClient.connect(port, (error) => window.fail(error));
  parts.defer(() => source.close());
  await source.request(`$JS.API.STREAM.CREATE.${STREAM}`, EDGE_STREAM);
  source.subscribe(ACKS, (payload) => acknowledge(window, payload));

  const sink = await NatsClient.connect(hubPort, (error) => arrivals.fail(error));
  parts.defer(() => sink.close());
  // First the leaf: a mirror that does not find its origin waits for seconds before it looks again.
  await sink.reach('$JS.edge.API.INFO');
  await sink.request(`$JS.API.STREAM.CREATE.${STREAM}`, HUB_STREAM);
  sink.subscribe(COPIES, (payload, arrivedAtMs) => arrivals.note(payload, arrivedAtMs));
  await sink.request(`$JS.API.CONSUMER.CREATE.${STREAM}`, {
    stream_name: STREAM,
    config: { deliver_subject: COPIES, deliver_policy: 'all', ack_policy: 'none' },
  });

  const way = {
    window,
    send: (records: readonly Buffer[]) => source.publish(SUBJECT, ACKS, records),
  };
  return assembled({ edge, central, way, arrivals, started: parts });
}

async function server(
  { programs, peers, directory }: PeerStart,
  name: string,
  lines: readonly string[],
  values: Readonly<Record<string, number>>,
) {
  const own = join(directory, name);
  await mkdir(own);
  const file = join(own, 'nats.conf');
  await writeFile(file, configured(lines, { directory: own, ...values }));
  return programs.start(peers.path('nats-server'), ['-c', file], peers.environment);
}

function acknowledge(window: Window, payload: Buffer): void {
  const answer = payload.toString();
  if (answer.includes('"error"')) {
    window.fail(new BenchError(`nats-server refused a record: ${answer}`));
  } else {
    window.acknowledged();
  }
}
