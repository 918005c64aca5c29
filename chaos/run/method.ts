/**
 * Plays the steps of a scenario: injects its faults, sees that they bite, holds them for as long as
 * the scenario says, and lifts them, inner ones first, whatever happens meanwhile. Faults that run
 * in the background end with the list of steps that they stand in. The first failure ends all that
 * goes on; it is thrown once everything is lifted.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Fault, FaultKind, Scene } from '../faults/fault.ts';
import { now } from '../observe/moment.ts';
import type { Fault as FaultSeen } from '../oracle/observations.ts';
import type { Action, Probe, Step } from '../scenario/scenario.ts';
import { baselineOf, inWords, untilHolds } from './conditions.ts';
import { messageOf, within, withinMs } from './within.ts';

/** An order to lift that takes longer is left, and `heal` has to do it. */
const LIFT_MS_MAX = 60_000;
/** An injection that is under way when it is given up has so long to come to its end. */
const SETTLE_MS_MAX = 15_000;

type FaultRecord = { -readonly [Key in keyof FaultSeen]: FaultSeen[Key] };

export interface MethodOptions {
  readonly kinds: readonly FaultKind[];
  /** Told what is being done, in words. */
  readonly tell: (doing: string) => void;
  /** Called after each order, for Toxiproxy's own account. */
  readonly note: (after: string) => Promise<void>;
}

export class Method {
  readonly #options: MethodOptions;
  readonly #faults: FaultRecord[] = [];
  readonly #failures: string[] = [];

  constructor(options: MethodOptions) {
    this.#options = options;
  }

  /** In the order in which they began, as the oracle takes them. */
  get faults(): readonly FaultSeen[] {
    return this.#faults;
  }

  /** What could not be lifted, and so is still in force. */
  get failures(): readonly string[] {
    return this.#failures;
  }

  /** A fault has ended Toxiproxy, which has not yet been given back what it was told before. */
  get hasProxyDown(): boolean {
    return this.#faults.some(
      ({ target, running }) => running === null && target.includes('toxiproxy'),
    );
  }

  async play(steps: readonly Step[], scene: Scene): Promise<void> {
    const failed = new AbortController();
    const inner = { ...scene, signal: AbortSignal.any([scene.signal, failed.signal]) };
    const watched = (work: Promise<void>) => work.catch((error) => failed.abort(error));
    const background: Promise<void>[] = [];
    for (const step of steps) {
      if (inner.signal.aborted) break;
      if (step.type === 'probe') await watched(this.#probe(step, inner));
      else if (step.background) {
        await new Promise<void>((begun) => {
          background.push(watched(this.#suffer(step, inner, begun)).finally(begun));
        });
      } else await watched(this.#suffer(step, inner));
    }
    await Promise.all(background);
    inner.signal.throwIfAborted();
  }

  async #probe({ name, until, deadline, pauses }: Probe, scene: Scene): Promise<void> {
    await pause(pauses?.before, scene);
    this.#options.tell(`${name}: until ${inWords(until)}`);
    const baseline = await within(scene.signal, baselineOf(until, scene.observer));
    await untilHolds(until, baseline, scene, deadline * 1_000).catch((error) => {
      throw new Error(`the probe "${name}"`, { cause: error });
    });
    await pause(pauses?.after, scene);
  }

  async #suffer(step: Action, scene: Scene, begun?: () => void): Promise<void> {
    await pause(step.pauses?.before, scene);
    const fault = this.#make(step);
    const baseline = await within(scene.signal, baselineOf(step.until, scene.observer));
    const record = this.#record(fault);
    this.#options.tell(`${fault.name}: injected`);
    const injecting = fault.inject(scene);
    try {
      await within(scene.signal, injecting);
      begun?.();
      await this.#options.note(`injecting ${fault.name}`);
      await this.#bite(record, fault, scene);
      if (step.until !== undefined) {
        this.#options.tell(`${fault.name}: until ${inWords(step.until)}`);
        await untilHolds(step.until, { ...baseline, since: record.began }, scene);
      }
      await this.play(step.method, scene);
    } finally {
      await this.#lift(record, fault, scene, injecting);
    }
    this.#options.tell(`${fault.name}: lifted; until ${fault.target} works again`);
    await within(scene.signal, fault.running(scene));
    record.running = now();
    await this.#options.note(`lifting ${fault.name}`);
    await pause(step.pauses?.after, scene);
  }

  #make({ fault, name, arguments: given }: Action): Fault {
    const kind = this.#options.kinds.find((one) => one.kind === fault);
    if (kind === undefined) throw new Error(`there is no fault ${fault}`);
    return kind.make(kind.arguments.parse(given), name ?? fault);
  }

  #record({ name, target, outage }: Fault): FaultRecord {
    const open = { lifted: null, running: null, bit: false, evidence: 'not looked for' };
    const record: FaultRecord = { name, target, outage, began: now(), ...open };
    this.#faults.push(record);
    return record;
  }

  /** That it had no effect is for the oracle to judge; the scenario goes on. */
  async #bite(record: FaultRecord, fault: Fault, scene: Scene): Promise<void> {
    try {
      record.evidence = await within(scene.signal, fault.effect(scene));
      record.bit = true;
    } catch (error) {
      record.evidence = messageOf(error);
      scene.signal.throwIfAborted();
    }
  }

  /** Not ended by Ctrl-C: what was done is undone first. */
  async #lift(
    record: FaultRecord,
    fault: Fault,
    scene: Scene,
    injecting: Promise<void>,
  ): Promise<void> {
    // Lifted while it is still being injected, it might be in force afterwards.
    const settled = injecting.catch(() => undefined);
    await withinMs(SETTLE_MS_MAX, 'injecting', settled).catch(() => undefined);
    if (fault.lift === undefined) return;
    record.lifted = now();
    try {
      const signal = AbortSignal.timeout(LIFT_MS_MAX);
      await within(signal, fault.lift({ ...scene, signal }));
    } catch (error) {
      this.#failures.push(`lifting ${fault.name}: ${messageOf(error)}`);
      throw error;
    }
  }
}

async function pause(seconds: number | undefined, { signal }: Scene): Promise<void> {
  if (seconds === undefined || seconds === 0) return;
  await within(signal, delay(seconds * 1_000, undefined, { signal }));
}
