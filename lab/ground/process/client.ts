/**
 * The supervisor from outside: its control socket, and starting and ending it. What its programs
 * are is the callers'.
 */
import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { EXIT, LabError } from '#lab/errors.ts';
import { tryHold } from '#lab/lock.ts';
import { type Ended, list, message, type Order, type SupervisorState } from './control.ts';
import { throughFolder } from './control-server.ts';
import { lockPath, supervisorLogPath } from './place.ts';

/** Longer than any order may take: a stop has its grace, and then kills. */
const ORDER_TIMEOUT_MS = 60_000;
const START_TIMEOUT_MS = 30_000;
const POLL_MS = 20;
const LOG_LINES_SHOWN = 12;

interface Waiting {
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: Error) => void;
}

export class ControlClient {
  readonly #socket: Socket;
  readonly #waiting = new Map<number, Waiting>();
  #orders = 0;
  #onEnded: (ended: Ended) => void = () => undefined;

  /** Null when no supervisor works in this folder. */
  static async connect(folder: string): Promise<ControlClient | null> {
    const socket = await open(folder);
    return socket === null ? null : new ControlClient(socket);
  }

  private constructor(socket: Socket) {
    this.#socket = socket;
    const lines = createInterface({ input: socket });
    lines.on('error', () => undefined); // the socket's own, told once more by readline
    lines.on('line', (line) => this.#onLine(line));
    socket.on('error', () => undefined); // `close` follows
    socket.on('close', () => {
      for (const { reject } of this.#waiting.values()) {
        reject(failed('the supervisor of the lab has gone', ['make up starts it again']));
      }
      this.#waiting.clear();
    });
    socket.unref();
  }

  /**
   * Resolves when it has been carried out.
   * @throws LabError `ground_failed` when it could not be, or the supervisor is gone.
   */
  async order(order: Order, timeoutMs = ORDER_TIMEOUT_MS): Promise<unknown> {
    this.#orders += 1;
    const id = this.#orders;
    const answered = new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
    if (this.#socket.destroyed) throw failed('the supervisor of the lab has gone', ['make up']);
    this.#socket.write(`${JSON.stringify({ id, order })}\n`);
    const timer = setTimeout(() => {
      const name = 'name' in order ? ` ${order.name}` : '';
      this.#waiting
        .get(id)
        ?.reject(failed(`the supervisor of the lab did not ${order.order}${name} in time`));
      this.#waiting.delete(id);
    }, timeoutMs);
    try {
      return await answered;
    } finally {
      clearTimeout(timer);
    }
  }

  async list(timeoutMs?: number): Promise<SupervisorState> {
    return list.parse(await this.order({ order: 'list' }, timeoutMs));
  }

  /** Calls it at the end of each program from now on, before the order that caused it is answered. */
  async watch(onEnded: (ended: Ended) => void): Promise<void> {
    this.#onEnded = onEnded;
    await this.order({ order: 'watch' });
  }

  close(): void {
    this.#socket.destroy();
  }

  #onLine(line: string): void {
    const said = message.parse(JSON.parse(line));
    if ('ended' in said) return this.#onEnded(said.ended);
    const waiting = this.#waiting.get(said.id);
    this.#waiting.delete(said.id);
    if ('refused' in said) waiting?.reject(failed(said.refused));
    else waiting?.resolve(said.answer);
  }
}

/**
 * Starts a supervisor of this folder, detached from this terminal, and connects to it.
 * @throws LabError `ground_failed` with the end of what it said.
 */
export async function startSupervisor(folder: string): Promise<ControlClient> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const log = openSync(supervisorLogPath(folder), 'w', 0o600);
  const child = spawn(process.execPath, [join(import.meta.dirname, 'main.ts'), folder], {
    cwd: '/',
    stdio: ['ignore', log, log],
    detached: true, // a session of its own: it outlives this command and its terminal
  });
  closeSync(log);
  let ended = false;
  for (const event of ['error', 'exit']) child.once(event, () => (ended = true));
  child.unref();
  const deadline = performance.now() + START_TIMEOUT_MS;
  while (!ended && performance.now() < deadline) {
    const client = await ControlClient.connect(folder);
    if (client !== null) return client;
    await delay(POLL_MS);
  }
  if (!ended) child.kill();
  const said = readFileSync(supervisorLogPath(folder), 'utf8').trim().split('\n');
  throw new LabError({
    code: 'ground_failed',
    exitCode: EXIT.failed,
    message: "the supervisor of the lab's processes does not start",
    details: said.slice(-LOG_LINES_SHOWN),
    next: [`To see it by hand: node lab/ground/process/main.ts ${folder}`],
  });
}

/** Has it stop everything and end; resolves when another one may start in its folder. */
export async function endSupervisor(client: ControlClient, folder: string): Promise<void> {
  await client.order({ order: 'end' });
  client.close();
  const deadline = performance.now() + START_TIMEOUT_MS;
  let lock = tryHold(lockPath(folder));
  for (; lock === null; lock = tryHold(lockPath(folder))) {
    if (performance.now() > deadline) throw failed('the supervisor of the lab does not end');
    await delay(POLL_MS);
  }
  lock.release();
}

function open(folder: string): Promise<Socket | null> {
  let through: ReturnType<typeof throughFolder>;
  try {
    through = throughFolder(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return Promise.resolve(null);
    throw error;
  }
  return new Promise((resolve, reject) => {
    const socket = createConnection(through.path);
    socket.once('connect', () => {
      through.close();
      resolve(socket);
    });
    socket.once('error', (error: NodeJS.ErrnoException) => {
      through.close();
      if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') resolve(null);
      else reject(error);
    });
  });
}

function failed(message: string, next: readonly string[] = []): LabError {
  return new LabError({ code: 'ground_failed', exitCode: EXIT.failed, message, next });
}
