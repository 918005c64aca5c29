/**
 * A modelled network: TCP sockets as Node gives them, over paths that delay, throttle, hold up,
 * break at any byte, lose bytes from the middle, and may run through a proxy that accepts before it
 * dials. The real link and the real connection run on these sockets.
 *
 * The model of TCP: what is written waits in the process until the kernel has room, then crosses
 * the path in order, then waits until the other process reads it; the kernel's room is taken until
 * then. A close follows the bytes written before it; with unread bytes it may be a reset instead. A
 * killed process is closed by its kernel; a host without power says nothing, and resets strangers
 * when it is back.
 */
import { KINDS } from '#protocol/messages.ts';
import type { Process, World } from './world.ts';

export type Direction = 'up' | 'down';

/** How a connection breaks: who is told. */
export type Break = 'reset' | 'close' | 'silent' | 'sender-told' | 'receiver-told';

/** What happens to the bytes of a direction, once, after so many more of them. */
type StreamFault =
  | { readonly kind: 'break'; after: number; readonly how: Break }
  | { readonly kind: 'hole'; after: number; readonly bytes: number }
  | { readonly kind: 'drop-message'; after: number }
  | { readonly kind: 'flip'; after: number };

/** The way between one collector and the server. What is set holds for bytes that leave then. */
export class Path {
  readonly name: string;
  /** Accepts a dial itself and then dials on, as Toxiproxy does. */
  proxied = false;
  delayMs: number;
  jitterMs = 0;
  /** In each direction. */
  bytesPerMs: number;
  dials: 'reach' | 'refused' | 'lost' = 'reach';
  readonly connections = new Set<Tcp>();
  readonly #held: Record<Direction, boolean> = { up: false, down: false };

  readonly #healthy: { readonly delayMs: number; readonly bytesPerMs: number };
  /** How each new connection is faulted while links die young. */
  onConnection: (connection: Tcp) => void = () => {};

  constructor(name: string, healthy: { readonly delayMs: number; readonly bytesPerMs: number }) {
    this.name = name;
    this.#healthy = healthy;
    this.delayMs = healthy.delayMs;
    this.bytesPerMs = healthy.bytesPerMs;
  }

  holds(direction: Direction): boolean {
    return this.#held[direction];
  }

  /** Bytes of a direction wait, unheard of, until they are let go. */
  hold(direction: Direction, held: boolean): void {
    this.#held[direction] = held;
    if (held) return;
    for (const connection of this.connections) connection.pipe(direction).letGo();
  }

  heal(): void {
    this.dials = 'reach';
    this.delayMs = this.#healthy.delayMs;
    this.bytesPerMs = this.#healthy.bytesPerMs;
    this.jitterMs = 0;
    this.onConnection = () => {};
    this.hold('up', false);
    this.hold('down', false);
    for (const connection of this.connections) connection.disarm();
  }
}

/** Whoever can be dialled. */
export interface Listener {
  /** The process that listens, if one does. */
  readonly process: Process | undefined;
  accept(socket: TcpSocket): void;
}

const KERNEL_BYTES = 65_536;

export class Network {
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  dial(process: Process, path: Path, listener: Listener): TcpSocket {
    const world = this.#world;
    const socket = new TcpSocket(world, process);
    const wayMs = path.delayMs;
    world.after(wayMs, () => {
      const listening = listener.process?.alive === true;
      if (path.dials === 'lost' || path.holds('up') || path.holds('down')) {
        world.meet('dial: unanswered');
      } else if (path.dials === 'refused' || !(listening || path.proxied)) {
        world.meet('dial: refused');
        world.after(wayMs, () => socket.refuse());
      } else if (listening && listener.process !== undefined) {
        this.#connect(socket, path, listener, listener.process);
      } else {
        world.meet('dial: accepted before the proxy found nobody');
        world.after(wayMs, () => socket.connected());
        world.after(wayMs, () => socket.takeClose());
      }
    });
    return socket;
  }

  #connect(socket: TcpSocket, path: Path, listener: Listener, process: Process): void {
    if (socket.destroyed) return;
    const far = new TcpSocket(this.#world, process);
    for (const known of path.connections) if (known.over) path.connections.delete(known);
    const connection = new Tcp(this.#world, path, socket, far);
    path.connections.add(connection);
    path.onConnection(connection);
    this.#world.after(path.delayMs, () => socket.connected());
    process.io(() => {
      far.connecting = false;
      listener.accept(far);
    });
  }
}

/** One connection: two sockets and a pipe each way. */
export class Tcp {
  readonly #world: World;
  readonly #path: Path;
  readonly #pipes: Readonly<Record<Direction, Pipe>>;
  readonly #near: TcpSocket;
  readonly #far: TcpSocket;

  constructor(world: World, path: Path, near: TcpSocket, far: TcpSocket) {
    this.#world = world;
    this.#path = path;
    this.#near = near;
    this.#far = far;
    this.#pipes = {
      up: new Pipe(world, path, 'up', this, near, far),
      down: new Pipe(world, path, 'down', this, far, near),
    };
    near.join(this.#pipes.up, this.#pipes.down);
    far.join(this.#pipes.down, this.#pipes.up);
  }

  pipe(direction: Direction): Pipe {
    return this.#pipes[direction];
  }

  get over(): boolean {
    return this.#near.destroyed && this.#far.destroyed;
  }

  disarm(): void {
    for (const pipe of Object.values(this.#pipes)) pipe.fault = undefined;
  }

  break(how: Break, direction: Direction = 'up'): void {
    this.#world.meet(`break: ${how}`);
    this.#world.say(this.#path.name, `the connection breaks: ${how}`);
    this.#pipes.up.broken = true;
    this.#pipes.down.broken = true;
    const [sender, receiver] =
      direction === 'up' ? [this.#near, this.#far] : [this.#far, this.#near];
    const tell = (socket: TcpSocket, reset: boolean): void => {
      this.#world.after(this.#path.delayMs, () =>
        reset ? socket.takeReset() : socket.takeClose(),
      );
    };
    if (how === 'reset' || how === 'close')
      for (const socket of [sender, receiver]) tell(socket, how === 'reset');
    if (how === 'sender-told') tell(sender, true);
    if (how === 'receiver-told') tell(receiver, false);
  }
}

type Item = { readonly bytes: Buffer; readonly room: number } | 'close' | 'reset';

/** One direction of one connection. */
class Pipe {
  /** Bytes go in and none come out. */
  broken = false;
  fault: StreamFault | undefined;
  readonly to: TcpSocket;
  /** What has arrived and is unread. */
  readonly arrived: Item[] = [];
  readonly #world: World;
  readonly #path: Path;
  readonly #direction: Direction;
  readonly #connection: Tcp;
  readonly #from: TcpSocket;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #written: (() => void)[] = [];
  #kernelBytes = 0;
  #busyUntil = 0;
  #arrivalAt: number;
  #held: Item[] = [];

  constructor(
    world: World,
    path: Path,
    direction: Direction,
    connection: Tcp,
    from: TcpSocket,
    to: TcpSocket,
  ) {
    this.#world = world;
    this.#path = path;
    this.#direction = direction;
    this.#connection = connection;
    this.#from = from;
    this.to = to;
    this.#arrivalAt = world.now + path.delayMs;
  }

  /** Bytes in the process that wait for the kernel. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /** Bytes that were written and not yet read at the other end. */
  get bytes(): number {
    return this.#waitingBytes + this.#kernelBytes;
  }

  write(bytes: Buffer, written?: () => void): void {
    if (bytes.length > 0) this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    if (written !== undefined) this.#written.push(written);
    this.#pump();
  }

  /** What is in the kernel still goes, then the close. */
  close(reset: boolean): void {
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#send(reset ? 'reset' : 'close', 0);
  }

  letGo(): void {
    const held = this.#held;
    this.#held = [];
    for (const item of held) this.#arrive(item);
  }

  /** The reader has taken an item. */
  taken(room: number): void {
    this.#kernelBytes -= room;
    if (this.#waiting.length > 0) this.#world.after(0, () => this.#pump());
  }

  #pump(): void {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      const room = KERNEL_BYTES - this.#kernelBytes;
      if (room <= 0) return;
      const part = next.subarray(0, room);
      if (part.length === next.length) this.#waiting.shift();
      else this.#waiting[0] = next.subarray(room);
      this.#waitingBytes -= part.length;
      this.#kernelBytes += part.length;
      this.#transmit(part);
    }
    const written = this.#written;
    this.#written = [];
    for (const call of written) this.#from.process.afterReads(call);
  }

  #transmit(part: Buffer): void {
    const { fault } = this;
    if (fault === undefined) return this.#send({ bytes: part, room: part.length }, part.length);
    if (fault.after >= part.length) {
      fault.after -= part.length;
      return this.#send({ bytes: part, room: part.length }, part.length);
    }
    this.fault = undefined;
    this.#world.meet(`stream: ${fault.kind}`);
    this.#world.say(this.#path.name, `${this.#direction}: ${fault.kind} in ${part.length} bytes`);
    const at = fault.after;
    switch (fault.kind) {
      case 'break': {
        this.#send({ bytes: part.subarray(0, at), room: part.length }, at);
        const { how } = fault;
        const waitMs = Math.max(0, this.#arrivalAt - this.#world.now);
        this.#world.after(waitMs, () => this.#connection.break(how, this.#direction));
        return;
      }
      case 'hole': {
        const rest = [part.subarray(0, at), part.subarray(at + fault.bytes)];
        return this.#send({ bytes: Buffer.concat(rest), room: part.length }, part.length);
      }
      case 'drop-message':
        return this.taken(part.length);
      case 'flip': {
        const bytes = Buffer.from(part);
        bytes[at] = (bytes[at] ?? 0) ^ (1 << this.#world.random.int(0, 7));
        return this.#send({ bytes, room: part.length }, part.length);
      }
    }
  }

  #send(item: Item, length: number): void {
    const { random } = this.#world;
    const { bytesPerMs, delayMs, jitterMs } = this.#path;
    this.#busyUntil = Math.max(this.#world.now, this.#busyUntil) + length / bytesPerMs;
    const arrivalAt = this.#busyUntil + delayMs + (jitterMs > 0 ? random.next() * jitterMs : 0);
    this.#arrivalAt = Math.max(this.#arrivalAt, arrivalAt);
    if (typeof item !== 'string' && item.bytes.length > 1 && random.chance(0.1)) {
      const cut = random.int(1, item.bytes.length - 1);
      const [first, second] = [item.bytes.subarray(0, cut), item.bytes.subarray(cut)];
      this.#sendAt(this.#arrivalAt, { bytes: first, room: 0 });
      this.#arrivalAt += random.next();
      this.#sendAt(this.#arrivalAt, { bytes: second, room: item.room });
    } else {
      this.#sendAt(this.#arrivalAt, item);
    }
  }

  #sendAt(at: number, item: Item): void {
    this.#world.after(at - this.#world.now, () => this.#arrive(item));
  }

  #lose(item: Item): void {
    if (typeof item !== 'string' && item.bytes[KIND_AT] === KINDS.ack) this.#world.meet('ack lost');
  }

  #arrive(item: Item): void {
    if (this.broken || this.to.destroyed) this.#lose(item);
    if (this.broken) return;
    if (this.#path.holds(this.#direction)) {
      this.#held.push(item);
      return;
    }
    if (item === 'reset') return this.to.takeReset();
    this.arrived.push(item);
    this.to.onArrival();
  }
}

/** Where a message says of which kind it is. */
const KIND_AT = 4;

type Handler = (...args: never[]) => void;

/** What `net.Socket` is to the link and to the connection. */
export class TcpSocket {
  readonly process: Process;
  readonly remoteAddress = '10.0.0.1';
  readonly remotePort = 9_004;
  connecting = true;
  destroyed = false;
  readonly #world: World;
  readonly #handlers = new Map<string, Handler[]>();
  #out: Pipe | undefined;
  #in: Pipe | undefined;
  #paused = false;
  #ended = false;
  /** The host lost its power while this was open. */
  #vanished = false;

  constructor(world: World, process: Process) {
    this.#world = world;
    this.process = process;
  }

  join(out: Pipe, incoming: Pipe): void {
    this.#out = out;
    this.#in = incoming;
  }

  on(event: string, handler: Handler): this {
    this.#handlers.set(event, [...(this.#handlers.get(event) ?? []), handler]);
    if (event === 'data' && !this.connecting) this.#read();
    return this;
  }

  setNoDelay(): this {
    return this;
  }

  cork(): void {}

  uncork(): void {}

  pause(): this {
    if (!this.#paused) this.#world.meet('socket: reading paused');
    this.#paused = true;
    return this;
  }

  resume(): this {
    this.#paused = false;
    this.process.afterReads(() => this.#read());
    return this;
  }

  isPaused(): boolean {
    return this.#paused;
  }

  get writableLength(): number {
    return this.#out?.waitingBytes ?? 0;
  }

  /** Bytes that were written and not yet read at the other end. */
  get bytesUnderWay(): number {
    return this.#out?.bytes ?? 0;
  }

  write(data: Buffer | string, written?: () => void): boolean {
    if (this.destroyed) return false;
    this.#out?.write(typeof data === 'string' ? Buffer.from(data) : data, written);
    return this.writableLength === 0;
  }

  /** Half-closes: nothing of ours does, for a proxy makes a full close of it. */
  end(): this {
    if (!this.destroyed) this.#out?.close(false);
    return this;
  }

  destroy(): this {
    if (this.destroyed) return this;
    this.#close();
    this.process.afterReads(() => this.#ends());
    return this;
  }

  /** The kernel's close, when the process was killed. */
  kill(): void {
    if (!this.destroyed) this.#close();
  }

  /** The power is gone: nobody says anything. */
  vanish(): void {
    this.destroyed = true;
    this.#vanished = true;
    if (this.#out !== undefined) this.#out.broken = true;
  }

  /** The host has power again, and doesn't know this connection. */
  reboot(): void {
    if (this.#vanished && this.#out !== undefined) this.#out.broken = false;
    this.#vanished = false;
  }

  connected(): void {
    if (this.destroyed || !this.connecting) return;
    this.process.io(() => {
      if (this.destroyed) return;
      this.connecting = false;
      this.#emit('connect');
      this.#read();
    });
  }

  refuse(): void {
    this.#failWith('ECONNREFUSED');
  }

  takeReset(): void {
    this.#failWith('ECONNRESET');
  }

  takeClose(): void {
    this.process.io(() => {
      if (this.destroyed) return;
      this.#close();
      this.#ends();
    });
  }

  onArrival(): void {
    if (this.#vanished) return;
    if (this.destroyed) {
      // A kernel answers bytes for nobody by a reset.
      this.#out?.close(true);
      if (this.#in !== undefined) this.#in.arrived.length = 0;
      return;
    }
    this.process.io(() => this.#read());
  }

  #read(): void {
    const incoming = this.#in;
    if (incoming === undefined || this.connecting || !this.#handlers.has('data')) return;
    while (!this.destroyed && !this.#paused) {
      const item = incoming.arrived.shift();
      if (item === undefined) return;
      if (typeof item === 'string') {
        this.#close();
        return this.#ends();
      }
      let { bytes } = item;
      incoming.taken(item.room);
      const next = incoming.arrived[0];
      if (next !== undefined && typeof next !== 'string' && this.#world.random.chance(0.3)) {
        incoming.arrived.shift();
        incoming.taken(next.room);
        bytes = Buffer.concat([bytes, next.bytes]);
      }
      if (bytes.length > 0) this.#emit('data', bytes);
    }
  }

  #failWith(code: string): void {
    this.process.io(() => {
      if (this.destroyed) return;
      this.destroyed = true;
      this.#emit('error', Object.assign(new Error(code), { code }));
      this.#ends();
    });
  }

  #close(): void {
    this.destroyed = true;
    const unread = this.#in?.arrived.some((item) => typeof item !== 'string') === true;
    this.#out?.close(unread && this.#world.random.chance(0.5));
  }

  #ends(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#emit('close');
  }

  #emit(event: string, ...args: unknown[]): void {
    for (const handler of this.#handlers.get(event) ?? []) handler(...(args as never[]));
  }
}
