/**
 * One rival: an application, its producer and its connection, driven by the clock. Decides nothing:
 * what an application does is `application.ts`, what a producer does `latching.ts`.
 *
 * The naive application has the producer from before its connect step was made to persist, the others
 * have the better one from after it.
 */
import { randomUUID } from 'node:crypto';
import { capturedAtOf, type FramePlan, framesDue, payloadOf } from '../source/frames.ts';
import { RequestConnection, type RequestRecord } from '../wire/requests.ts';
import { Application, type Kind } from './application.ts';
import type { RivalFacts } from './commands.ts';
import { type LatchingOptions, LatchingProducer, type ProducerAction } from './latching.ts';

export interface RivalOptions extends Pick<LatchingOptions, 'underRequest'> {
  readonly kind: Kind;
  readonly port: number;
  readonly token: string;
  readonly collector: string;
  readonly plan: FramePlan;
  /** Records to be sent in all. */
  readonly frames: number;
}

export class Rival {
  readonly #options: RivalOptions;
  readonly #instance = randomUUID();
  readonly #application: Application;
  #producer: LatchingProducer;
  #connection: RequestConnection | undefined;
  #cutsInFlight = 0;
  #isFull = false;
  #timer: NodeJS.Timeout | undefined;

  /** Begins at once. */
  constructor(options: RivalOptions) {
    this.#options = options;
    this.#application = new Application(options.kind, options.frames);
    this.#producer = this.#newProducer();
    this.#drive();
  }

  get facts(): RivalFacts {
    return {
      taken: this.#application.taken,
      atRest: this.#application.isDone && this.#producer.isIdle,
      cutsInFlight: this.#cutsInFlight + this.#producer.cutsInFlight,
    };
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#connection?.close();
  }

  #newProducer(): LatchingProducer {
    const { kind, underRequest } = this.#options;
    return new LatchingProducer({
      connecting: kind === 'naive' ? 'fails' : 'persists',
      underRequest,
    });
  }

  /** After each input: what is due, all that follows from it, and the timer for what comes next. */
  #drive(input: (now: number) => void = () => {}): void {
    const now = performance.now();
    input(now);
    this.#producer.onTick(now);
    const order = this.#application.onTick(now);
    if (order === 'clear') this.#producer.clearErrors();
    if (order === 'renew') this.#renew();
    do this.#send(now);
    while (this.#perform(now));
    this.#arm(now);
  }

  #renew(): void {
    this.#connection?.close();
    this.#cutsInFlight += this.#producer.cutsInFlight;
    this.#producer = this.#newProducer();
  }

  #send(now: number): void {
    const { plan } = this.#options;
    const due = framesDue(plan);
    this.#isFull = false;
    for (let n = this.#application.next(due); n !== undefined; n = this.#application.next(due)) {
      const outcome = this.#producer.send(n, plan.payloadBytes, now);
      this.#isFull = outcome === 'full';
      if (outcome === 'full') return;
      if (outcome === 'taken') this.#application.onTaken(n, now);
      else this.#application.onRefused(now);
    }
  }

  /** True where there was something to do, so that the application may go on. */
  #perform(now: number): boolean {
    const first = this.#producer.poll();
    for (let action = first; action !== undefined; action = this.#producer.poll()) {
      this.#do(action, now);
    }
    return first !== undefined;
  }

  #do(action: ProducerAction, now: number): void {
    switch (action.type) {
      case 'connect':
        return this.#connect();
      case 'request':
        return this.#connection?.request(action.batches.map((batch) => batch.map(this.#record)));
      case 'close':
        return this.#connection?.close();
      case 'stored':
        return this.#application.onStored(action.records, now);
      case 'failed':
        return this.#application.onFailed(action.records, now);
    }
  }

  readonly #record = (n: number): RequestRecord => {
    const { plan } = this.#options;
    return { capturedAt: capturedAtOf(plan, n), payload: payloadOf(plan, n) };
  };

  #connect(): void {
    this.#connection?.close();
    const { port, token, collector } = this.#options;
    const joiner = { token, collector, instance: this.#instance, epoch: randomUUID() };
    this.#connection = new RequestConnection(port, joiner, {
      onJoined: () => this.#drive((now) => this.#producer.onConnected(now)),
      onStored: () => this.#drive((now) => this.#producer.onStored(now)),
      onClosed: () => this.#drive((now) => this.#producer.onClosed(now)),
    });
  }

  #arm(now: number): void {
    clearTimeout(this.#timer);
    const { plan } = this.#options;
    const taken = this.#application.taken;
    // Who waits for room, for the end of a pause, or for nothing any more is woken by no schedule.
    const waits = this.#isFull || this.#application.next(taken + 1) === undefined;
    const nextMs = waits ? Infinity : now + capturedAtOf(plan, taken) / 1_000 - Date.now();
    const at = Math.min(
      nextMs,
      this.#producer.nextDeadline ?? Infinity,
      this.#application.nextDeadline ?? Infinity,
    );
    if (at === Infinity) return;
    this.#timer = setTimeout(() => this.#drive(), Math.max(0, at - performance.now()));
  }
}
