/**
 * The other end of a connection with a real server: says what it is told to, right or wrong, and
 * answers PINGs so that it doesn't count as silent, unless it is to be.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import {
  type EpochAnnouncement,
  type Hello,
  KINDS,
  type Kind,
  type Message,
} from '#protocol/messages.ts';
import { WireClient } from '../unit/server/wire-client.ts';
import type { ServerProcess } from './server-process.ts';
import { until } from './until.ts';

export interface PeerOptions {
  readonly token?: Uint8Array;
  /** An address of loopback to come from; one of its own by default. */
  readonly from?: string;
  readonly answersPings?: boolean;
  readonly allowHalfOpen?: boolean;
}

let peers = 0;

/** The server logs little of what one address does wrong, and bounds what it may have. */
function nextAddress(): string {
  peers += 1;
  return `127.${1 + ((peers >> 16) & 127)}.${(peers >> 8) & 255}.${peers & 255}`;
}

export class Peer {
  readonly wire: WireClient;
  readonly socket: Socket;
  answersPings: boolean;
  address = '';
  isClosed = false;

  private constructor(port: number, options: PeerOptions) {
    const { token, from = nextAddress(), answersPings = true, allowHalfOpen = false } = options;
    this.wire = new WireClient(token);
    this.answersPings = answersPings;
    this.socket = connect({
      port,
      host: '127.0.0.1',
      noDelay: true,
      allowHalfOpen,
      localAddress: from,
    });
    this.socket.on('error', () => {});
    this.socket.on('connect', () => {
      this.address = `${this.socket.localAddress}:${this.socket.localPort}`;
    });
    this.socket.on('close', () => {
      this.isClosed = true;
    });
    this.socket.on('data', (bytes: Buffer) => this.#onData(bytes));
  }

  /** Resolves when it is connected. */
  static async connect(server: ServerProcess, options: PeerOptions = {}): Promise<Peer> {
    const peer = new Peer(server.port, options);
    server.peers.add(peer);
    if (peer.socket.connecting) await once(peer.socket, 'connect');
    return peer;
  }

  /** Resolves when the server has greeted. */
  static async greeted(server: ServerProcess, options: PeerOptions = {}): Promise<Peer> {
    const peer = await Peer.connect(server, options);
    await until('GREETING comes', () => peer.has('greeting'));
    return peer;
  }

  /** Resolves at WELCOME. */
  static async joined(
    server: ServerProcess,
    collector: string,
    epochs: readonly EpochAnnouncement[],
    options: PeerOptions & { readonly hello?: Partial<Omit<Hello, 'mac'>> } = {},
  ): Promise<Peer> {
    const peer = await Peer.greeted(server, options);
    peer.raw(peer.wire.hello(epochs, { collector, ...options.hello }));
    await peer.next('welcome');
    return peer;
  }

  has(kind: Message['kind']): boolean {
    return this.wire.messages.some((message) => message.kind === kind);
  }

  raw(bytes: Buffer): void {
    if (!this.socket.destroyed) this.socket.write(bytes);
  }

  send(...messages: Message[]): void {
    this.raw(Buffer.concat(messages.map((message) => this.wire.bytesOf(message))));
  }

  /** Any body as the next message, in a right envelope. */
  seal(kind: Kind, flags: number, body: Buffer): void {
    this.raw(this.wire.sealed(KINDS[kind], flags, body));
  }

  /** Waits for the next message of a kind. */
  async next<K extends Message['kind']>(kind: K): Promise<Message & { kind: K }> {
    await until(`${kind.toUpperCase()} comes`, () => this.has(kind) || this.isClosed);
    const index = this.wire.messages.findIndex((message) => message.kind === kind);
    const [message] = index < 0 ? [] : this.wire.messages.splice(index, 1);
    if (message === undefined) throw new Error(`closed before ${kind.toUpperCase()} came`);
    return message as Message & { kind: K };
  }

  /** Waits until so many seqs are acknowledged as stored. */
  async acked(count: number): Promise<void> {
    let acked = 0;
    await until(`${count} frames are acknowledged`, () => {
      for (const { settled } of this.wire.take('ack')) {
        for (const { from, to, state } of settled) acked += state === 'stored' ? to - from + 1 : 0;
      }
      if (this.isClosed && acked < count) throw new Error(`closed: ${this.lastWords}`);
      return acked >= count;
    });
  }

  /** What the server said last, if it said goodbye. */
  get lastWords(): string {
    const said = this.wire.messages.find((message) => message.kind === 'bye');
    return said === undefined ? 'without a word' : `${said.reason} ${said.text}`;
  }

  destroy(): void {
    this.socket.destroy();
  }

  #onData(bytes: Buffer): void {
    this.wire.onBytes(bytes);
    if (!this.answersPings) return;
    for (const { id } of this.wire.take('ping')) {
      this.send({ kind: 'pong', id, bytesReceived: 0, highest: undefined });
    }
  }
}
