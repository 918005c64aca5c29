/**
 * mosquitto: a broker at the edge that bridges to one at the centre, as its manual shows; a subscriber
 * there tells what has arrived. Both keep what they hold in memory, and write all of it to disk now and
 * then: a setting that syncs before it acknowledges there is none.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from '#lab/ports.ts';
import { Arrivals } from './arrivals.ts';
import { assembled } from './assembled.ts';
import { configured, printed } from './configuration.ts';
import { Window } from './handover.ts';
import { MqttClient } from './mqtt.ts';
import type { Peer, PeerKind, PeerStart } from './peer.ts';

const BACKLOG = 200_000;
/** Fewer than there are packet ids. */
const UNACKNOWLEDGED_MAX = 4_096;
const TOPIC = 'records';

/** Started by root, it would become a user that its package makes when it is installed. */
const USER = process.getuid?.() === 0 ? ['user root'] : [];

/** Written whole each time, so that doing it more often would cost more the longer a backlog is. */
const BROKER = [
  ...USER,
  'listener <port> 127.0.0.1',
  'allow_anonymous true',
  'persistence true',
  'persistence_location <directory>/',
  'autosave_interval 5',
  'max_queued_messages 0',
];

const BRIDGE = [
  'connection centre',
  'address 127.0.0.1:<link>',
  `topic ${TOPIC} out 1`,
  'cleansession false',
  // The others wait as long. Both the least and the most: given one number alone, 2.0.11 waits its
  // default of 5 to 30 s for all that.
  'restart_timeout 1 1',
  'notifications false',
];

export const MOSQUITTO_KINDS: readonly PeerKind[] = [
  {
    name: 'mosquitto',
    packages: ['mosquitto'],
    synced: false,
    settings: [
      ...printed([...BROKER, ...BRIDGE], BROKER),
      'published to the edge and subscribed at the centre at QoS 1, the subscriber with clean session off',
    ],
    backlog: BACKLOG,
    start,
  },
];

async function start(about: PeerStart): Promise<Peer> {
  await using parts = new AsyncDisposableStack();
  const [port, centralPort] = [await freePort(), await freePort()];
  const link = await about.link(centralPort);
  const window = new Window(UNACKNOWLEDGED_MAX);
  const arrivals = new Arrivals();

  const central = await broker(about, 'central', BROKER, { port: centralPort });
  parts.defer(() => central.stop());
  const sink = await MqttClient.connect({
    port: centralPort,
    client: 'sink',
    clean: false,
    message: (payload, arrivedAtMs) => arrivals.note(payload, arrivedAtMs),
    failed: (error) => arrivals.fail(error),
  });
  parts.defer(() => sink.close());
  await sink.subscribe(TOPIC);

  const edge = await broker(about, 'edge', [...BROKER, ...BRIDGE], { port, link: link.port });
  parts.defer(() => edge.stop());
  const source = await MqttClient.connect({
    port,
    client: 'source',
    clean: true,
    acknowledged: (count) => window.acknowledged(count),
    failed: (error) => window.fail(error),
  });
  parts.defer(() => source.close());

  const way = {
    window,
    send: (records: readonly Buffer[], first: number) => source.publish(TOPIC, records, first),
  };
  return assembled({ edge, central, way, arrivals, started: parts });
}

async function broker(
  { programs, peers, directory }: PeerStart,
  name: string,
  lines: readonly string[],
  values: Readonly<Record<string, number>>,
) {
  const own = join(directory, name);
  await mkdir(own);
  const file = join(own, 'mosquitto.conf');
  await writeFile(file, configured(lines, { directory: own, ...values }));
  return programs.start(peers.path('mosquitto'), ['-c', file], peers.environment);
}
