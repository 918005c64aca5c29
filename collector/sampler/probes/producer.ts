/**
 * The producer's own state, as part of each sample: how much waits in its queue, and which states its
 * link was in. It is captured like all else, so what an outage looked like from here arrives
 * with the frames that were captured in it.
 *
 * A Backoff or a Recovering may last for milliseconds, and a look once a sample would miss most of them. So
 * each state that the link was in since the sample before is told, at whichever moment. Not here:
 * how the producer comes to its numbers (`producer/status.ts`).
 */
import type { SenderState } from '#collector/producer/sender-state.ts';
import type { ProducerStatus } from '#collector/producer/status.ts';
import type { Probe } from '../probe.ts';
import { type Metric, metric, type Scope } from '../sample.ts';

/** A stopped link takes no samples any more. */
const TOLD_STATES = ['Ready', 'Backoff', 'Recovering'] as const;

/** What the probe needs of a producer. */
export interface ObservedProducer {
  status(): Pick<ProducerStatus, 'state'> & {
    readonly queue: Pick<ProducerStatus['queue'], 'frames' | 'bytes' | 'keptBytes'>;
  };
  on(
    event: 'state',
    listener: (step: { readonly from: SenderState; readonly to: SenderState }) => void,
  ): unknown;
}

export class ProducerProbe implements Probe {
  readonly name = 'producer';
  readonly periodMs = 0;
  readonly #producer: ObservedProducer;
  readonly #scope: Scope;
  /** Since the reading before. */
  #met = new Set<SenderState['name']>();

  constructor(producer: ObservedProducer, scope: Scope) {
    this.#producer = producer;
    this.#scope = scope;
    producer.on('state', ({ from, to }) => this.#met.add(from.name).add(to.name));
  }

  async read(): Promise<readonly Metric[]> {
    const { state, queue } = this.#producer.status();
    const met = this.#met.add(state);
    this.#met = new Set();
    return [
      metric('holdfast.queue.frames', this.#scope, queue.frames),
      metric('holdfast.queue.size', this.#scope, queue.bytes - queue.keptBytes),
      ...TOLD_STATES.map((name) =>
        metric('holdfast.producer.state', this.#scope, met.has(name) ? 1 : 0, { state: name }),
      ),
    ];
  }
}
