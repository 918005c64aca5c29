/**
 * One history: the machines of a plan through its faults, then healed, then judged.
 *
 * The first phase is for safety: whatever happens, no ack may be wrong, nothing may be missing in
 * the audit, and the bounds hold. In the second phase all faults are over: within a bounded time
 * every collector is Ready, everything is brought over, and the witness has its say.
 */

import type { ModelledFiles } from '../unit/queue/modelled-files.ts';
import { damageCheckpoint, damageSegment } from './damage.ts';
import { CollectorHost, type Surrounding } from './model/collector-host.ts';
import { watchWindows } from './model/insight.ts';
import type { Tcp } from './model/network.ts';
import { ServerHost } from './model/server-host.ts';
import { World } from './model/world.ts';
import type { Fault, Plan } from './plan.ts';
import { Violation, Witness } from './witness.ts';

export interface Verdict {
  readonly seed: number;
  /** Why the promise did not hold; undefined when it did. */
  readonly failure: Error | undefined;
  /** Frames that were accepted. */
  readonly accepted: number;
  /** From the last fault's end until everything was settled, in virtual milliseconds. */
  readonly recoveryMs: number;
  readonly met: ReadonlyMap<string, number>;
  readonly trace: readonly string[];
}

/**
 * From the end of all faults. The longest thing that a healthy path has to wait out is the deadline
 * of a handshake that began before (60 s); the time of the drain itself comes on top.
 */
const RECOVERY_MS_MAX = 120_000;
const TICK_MS = 250;
/** What may be under way while nothing is known of a path. */
const START_WINDOW_BYTES = 16_384;
/** What one read of a socket may bring on top of a full window. */
const READ_BYTES_MAX = 65_536;
/** In which a connection that is cut for no reason would be. */
const QUIET_MS = 7_000;
/** Two heartbeats and what a path takes: after that the server knows how far everyone is. */
const ANNOUNCED_MS = 2_500;

export async function runHistory(plan: Plan, options: { trace?: boolean } = {}): Promise<Verdict> {
  const history = new History(plan, options);
  let failure: Error | undefined;
  const onRejection = (reason: unknown): void => history.world.fail(reason as Error);
  process.on('unhandledRejection', onRejection);
  try {
    await history.run();
  } catch (error) {
    failure = error as Error;
    history.world.say('verdict', `FAILED ${failure.message}`);
  } finally {
    process.off('unhandledRejection', onRejection);
  }
  return {
    seed: plan.seed,
    failure,
    accepted: history.witness.accepted,
    recoveryMs: history.recoveryMs,
    met: history.world.met,
    trace: history.world.trace,
  };
}

class History {
  readonly world: World;
  readonly witness = new Witness();
  recoveryMs = 0;
  readonly #plan: Plan;
  readonly #server: ServerHost;
  readonly #shared: Surrounding;
  readonly #hosts: CollectorHost[];
  /** Copies of each host's queue, taken now and then. */
  readonly #copies = new Map<CollectorHost, { at: number; files: ModelledFiles }[]>();
  /** Hosts that run on one collector's id, as copies of one queue. */
  readonly #families: CollectorHost[][];
  #healed = false;

  constructor(plan: Plan, options: { trace?: boolean }) {
    this.#plan = plan;
    this.world = new World(plan.seed, options);
    this.#server = new ServerHost(this.world, plan.server, this.witness);
    this.#shared = { world: this.world, witness: this.witness, server: this.#server };
    this.#hosts = plan.collectors.map(
      (settings, i) => new CollectorHost(`collector-${i + 1}`, settings, this.#shared),
    );
    this.#families = this.#hosts.map((host) => [host]);
    const { payloadBytesMax } = plan.server;
    this.witness.allowRejection(({ payload }) => payload.length > payloadBytesMax);
  }

  async run(): Promise<void> {
    const { world } = this;
    watchWindows((what) => world.meet(what));
    this.#server.start();
    for (const host of this.#hosts) host.start();
    for (const { at, collector, frames } of this.#plan.bursts) {
      world.after(at, () => {
        for (const host of this.#families[collector] ?? []) host.capture(frames);
      });
    }
    for (const fault of this.#plan.faults) world.after(fault.at, () => this.#begin(fault));
    this.#tick();
    await world.run(this.#plan.safetyMs);
    this.#heal();
    await this.#recover();
    this.witness.checkStore(this.#server.disk, this.#deadLetters());
    world.say('verdict', `held: ${this.witness.accepted} frames accepted`);
  }

  /** What has to hold at every moment. */
  #tick(): void {
    this.world.after(TICK_MS, () => {
      this.witness.checkAudit(this.#server.disk.audit());
      this.#checkBounds();
      if (!this.#healed) this.#takeCopies();
      this.#tick();
    });
  }

  #checkBounds(): void {
    const { windowBytes } = this.#plan.server;
    const { waitingBytes, connectionCount } = this.#server;
    // What a connection left behind when it ended is committed before the next one is answered.
    const contributors = connectionCount + this.#hosts.length;
    if (waitingBytes > contributors * (windowBytes + READ_BYTES_MAX)) {
      throw new Violation('memory', `the server holds ${waitingBytes} bytes for the store`);
    }
    for (const host of this.#hosts) {
      const bytes = host.bytesUnderWay;
      const frameBytes = host.settings.payloadBytesMax;
      if (bytes > windowBytes + 2 * frameBytes + 16_384) {
        throw new Violation('memory', `${host.name} has ${bytes} bytes under way`);
      }
      const { limitBytes } = host.settings;
      if (host.disk.segmentBytes > limitBytes + 4_096) {
        throw new Violation('disk', `${host.name} takes ${host.disk.segmentBytes} bytes`);
      }
    }
  }

  #takeCopies(): void {
    for (const host of this.#hosts) {
      if (host.collector === undefined || !this.#needsCopies) continue;
      const copies = this.#copies.get(host) ?? [];
      copies.push({ at: this.world.now, files: host.disk.copy() });
      this.#copies.set(host, copies);
    }
  }

  get #needsCopies(): boolean {
    return this.#plan.faults.some(({ kind }) => kind === 'restore');
  }

  #begin(fault: Fault): void {
    const host = this.#hosts[fault.collector];
    if (host === undefined || this.#healed) return;
    const { world } = this;
    if (world.traced) world.say('fault', JSON.stringify(fault));
    world.meet(`fault: ${fault.kind}`);
    this.#onPath(fault, host);
    this.#onCollector(fault, host);
    this.#onServer(fault);
  }

  #onPath(fault: Fault, host: CollectorHost): void {
    const { path } = host;
    switch (fault.kind) {
      case 'cut':
        path.dials = fault.how === 'silent' ? 'lost' : 'refused';
        for (const connection of path.connections) connection.break(fault.how);
        return this.#later(fault.lastsMs, () => {
          path.dials = 'reach';
        });
      case 'hold': {
        const directions =
          fault.direction === 'both' ? (['up', 'down'] as const) : [fault.direction];
        for (const direction of directions) path.hold(direction, true);
        return this.#later(fault.lastsMs, () => {
          for (const direction of directions) path.hold(direction, false);
        });
      }
      case 'slow':
        path.delayMs = fault.delayMs;
        path.jitterMs = fault.jitterMs;
        path.bytesPerMs = fault.bytesPerMs;
        return this.#later(fault.lastsMs, () => path.heal());
      case 'die-young':
        path.onConnection = (connection) => {
          const after = fault.bytes;
          connection.pipe('up').fault = { kind: 'break', after, how: 'reset' };
        };
        for (const connection of path.connections) path.onConnection(connection);
        return this.#later(fault.lastsMs, () => {
          path.onConnection = () => {};
        });
      case 'break':
        for (const connection of path.connections) connection.break(fault.how);
        return;
      case 'stream': {
        const arm = (connection: Tcp): void => {
          const { fault: kind, after, bytes, how } = fault;
          connection.pipe(fault.direction).fault = { kind, after, bytes, how };
        };
        if (path.connections.size > 0) for (const connection of path.connections) arm(connection);
        else path.onConnection = arm;
      }
    }
  }

  #onCollector(fault: Fault, host: CollectorHost): void {
    const { world } = this;
    switch (fault.kind) {
      case 'collector-kill':
        if (fault.power) host.losePower();
        else host.kill();
        world.after(fault.lastsMs, () => host.restart());
        return;
      case 'collector-stop':
        return host.stop(fault.deadlineMs);
      case 'collector-freeze': {
        const { process } = host;
        process?.freeze();
        return this.#later(fault.lastsMs, () => process?.thaw());
      }
      case 'collector-crash':
        return host.disk.crashIn(fault.calls);
      case 'collector-disk-error':
        return host.disk.failIn(
          fault.sync ? ['sync', 'syncDirectory'] : ['write', 'create'],
          fault.calls,
        );
      case 'collector-disk-full':
        host.disk.fill(fault.roomBytes);
        if (host.collector !== undefined) this.witness.shortOfRoom(host.collector);
        return this.#later(fault.lastsMs, () => host.disk.clear());
      case 'damage':
        this.#damage(fault.checkpoint, host);
        world.after(fault.lastsMs, () => host.restart());
        return;
      case 'clock':
        host.wallOffsetUs += Math.round(fault.byMs * 1_000);
        return;
      case 'clone':
        return this.#clone(fault.collector, host);
      case 'restore':
        return this.#restore(fault.backMs, host);
    }
  }

  #onServer(fault: Fault): void {
    const { world } = this;
    const server = this.#server;
    switch (fault.kind) {
      case 'server-kill':
        if (fault.power) server.losePower();
        else server.kill();
        world.after(fault.lastsMs, () => server.start());
        return;
      case 'server-stop':
        return server.stop();
      case 'server-freeze': {
        const { process } = server;
        process?.freeze();
        return this.#later(fault.lastsMs, () => process?.thaw());
      }
      case 'store-trouble':
        server.trouble = fault.trouble;
        return this.#later(fault.lastsMs, () => {
          server.trouble = undefined;
        });
      case 'store-slow':
        server.slowness = fault.times;
        return this.#later(fault.lastsMs, () => {
          server.slowness = 1;
        });
      case 'store-new':
        this.#loseStore('settled_elsewhere');
        server.replaceStore();
        world.after(fault.lastsMs, () => server.start());
        return;
      case 'store-older': {
        const { disk } = server;
        this.#loseStore('lost_after_ack');
        server.disk = disk.asOf(Math.floor(disk.jobs * fault.share));
        world.after(fault.lastsMs, () => server.start());
      }
    }
  }

  /** The server's store goes, and with it what it had settled. */
  #loseStore(reason: 'settled_elsewhere' | 'lost_after_ack'): void {
    this.#server.kill();
    this.witness.storeReplaced(this.#server.disk);
    for (const { collector } of this.#hosts) {
      if (collector === undefined) continue;
      this.witness.allow(collector, reason);
      // The first HELLO tells what is held as if the store still had the rest.
      this.witness.excuseMissing(collector, 'meanwhile');
    }
  }

  /** The process is killed, and then its disk is damaged. */
  #damage(checkpoint: boolean, host: CollectorHost): void {
    const { collector } = host;
    if (collector === undefined) return;
    host.kill();
    host.disk.afterKill();
    if (checkpoint) {
      this.witness.excuseCheckpoint(collector);
      return damageCheckpoint(host.disk.files, this.world.random);
    }
    const touched = damageSegment(host.disk.files, this.world.random) ?? [];
    for (const { epoch, seq } of touched) {
      this.witness.excuse(collector, epoch, seq, 'its bytes were damaged');
    }
    if (this.world.traced) {
      const names = touched.map(({ epoch, seq }) => `${epoch.slice(-4)}/${seq}`);
      this.world.say(host.name, `damaged: ${names.join(' ')}`);
    }
  }

  /** The queue is copied while it runs, and the copy runs, too. */
  #clone(number: number, host: CollectorHost): void {
    const family = this.#families[number];
    const { collector } = host;
    if (family === undefined || family.length > 1 || collector === undefined) return;
    const clone = new CollectorHost(`clone-${number + 1}`, host.settings, this.#shared);
    clone.disk.restore(host.disk.copy());
    this.witness.excuseMissing(collector, 'meanwhile');
    host.hasRival = true;
    clone.hasRival = true;
    family.push(clone);
    this.#hosts.push(clone);
    clone.start();
  }

  /** The machine is put back to an older copy: what came after it is gone, by somebody's hand. */
  #restore(backMs: number, host: CollectorHost): void {
    const { collector } = host;
    const copies = this.#copies.get(host) ?? [];
    const copy = copies.findLast(({ at }) => at <= this.world.now - backMs) ?? copies[0];
    if (collector === undefined || copy === undefined) return;
    this.world.say(host.name, `is put back to ${copy.at.toFixed(0)} ms`);
    host.kill();
    this.witness.excuseSince(host.name, copy.at);
    this.witness.excuseMissing(collector, 'for good');
    host.disk.restore(copy.files);
    this.world.after(500, () => host.restart());
  }

  #later(ms: number, call: () => void): void {
    this.world.after(ms, () => {
      if (!this.#healed) call();
    });
  }

  #heal(): void {
    const { world } = this;
    world.say('history', 'all faults are over');
    this.#healed = true;
    this.#server.trouble = undefined;
    this.#server.slowness = 1;
    this.#server.process?.thaw();
    if (this.#server.stopping) this.#server.kill();
    this.#server.start();
    for (const host of this.#hosts) {
      host.path.heal();
      host.disk.clear();
      host.process?.thaw();
      host.start();
    }
  }

  /** Copies of one queue take turns, for the server lets one of them in at a time. */
  async #recover(): Promise<void> {
    const beganAt = this.world.now;
    const last = Math.max(...this.#families.map((family) => family.length));
    for (let turn = 0; turn < last; turn += 1) {
      const hosts = this.#families.map(
        (family) => family[turn] ?? (family.at(-1) as CollectorHost),
      );
      for (const host of this.#hosts) {
        host.supervised = hosts.includes(host);
        if (!host.supervised) host.kill();
        else host.start();
      }
      await this.#untilSettled(hosts, turn === last - 1);
    }
    this.recoveryMs = this.world.now - beganAt - last * QUIET_MS;
  }

  async #untilSettled(hosts: readonly CollectorHost[], isLast: boolean): Promise<void> {
    const boundMs = RECOVERY_MS_MAX + this.#drainMs(hosts);
    const until = this.world.now + boundMs;
    const server = this.#server;
    const settled = (): boolean =>
      hosts.every((host) => host.drained) &&
      (!isLast || this.witness.isSettled(server.disk.audit()));
    while (this.world.now < until) {
      await this.world.run(this.world.now + TICK_MS);
      if (!settled()) continue;
      await this.world.run(this.world.now + ANNOUNCED_MS + 2 * this.#longestWayMs());
      if (settled() && (await this.#staysReady(hosts))) return;
    }
    const states = hosts.map((host) => {
      const status = host.producer?.status();
      return `${host.name} ${status?.state ?? 'not running'}, ${status?.queue.frames} frames`;
    });
    const pending = server.disk
      .audit()
      .flatMap(({ collector, epochs }) =>
        epochs.flatMap(({ epoch, pending: all }) =>
          all.map(({ from, to }) => `${collector} ${epoch} ${from}-${to}`),
        ),
      );
    const text = `not settled after ${Math.round(boundMs / 1_000)} s: ${states.join('; ')}`;
    throw new Violation('recovery', `${text}; pending: ${pending.slice(0, 3).join(', ')}`);
  }

  /** What the slowest of these paths may take for a queue: half a window for each way and back. */
  #drainMs(hosts: readonly CollectorHost[]): number {
    const windowBytes = Math.min(this.#plan.server.windowBytes, START_WINDOW_BYTES);
    const drains = hosts.map(({ disk, settings }) => {
      const trips = Math.ceil(disk.segmentBytes / (windowBytes / 2));
      const tripMs = 2 * settings.delayMs + this.#plan.server.commitMsMax + settings.roundMsMax;
      return trips * tripMs + disk.segmentBytes / settings.bytesPerMs;
    });
    return Math.max(...drains);
  }

  /** On a healthy path, with nothing to do, no connection ends. */
  async #staysReady(hosts: readonly CollectorHost[]): Promise<boolean> {
    const connections = (): (number | undefined)[] =>
      hosts.map(({ producer }) => producer?.status().counters.connections);
    const before = connections().join();
    await this.world.run(this.world.now + QUIET_MS);
    return connections().join() === before;
  }

  #longestWayMs(): number {
    return Math.max(...this.#hosts.map(({ path }) => path.delayMs));
  }

  #deadLetters(): Map<string, string> {
    return new Map(this.#hosts.flatMap(({ disk }) => [...disk.deadLetters]));
  }
}
