/**
 * A lab without programs: a ground whose source, link and server are one small model in this
 * process, behind the same HTTP as the real ones. It accepts four thousand frames a second into a real
 * ledger, stores them while nothing blocks the way, and writes down every order that it is given.
 */
import { createHash } from 'node:crypto';
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import type { Fault, FaultKind } from '#chaos/faults/fault.ts';
import { formatLine } from '#chaos/ledger/lines.ts';
import { now } from '#chaos/observe/moment.ts';
import type { Ability, Exit, Ground, InForce, Launch, Service } from '#lab/ground/ground.ts';
import { formatTime, frameCrc } from '#protocol/identity.ts';

const TICK_MS = 5;
const FRAMES_A_TICK = 20;
const EPOCH = '01938c5e-8a00-7000-8000-000000000001';

interface Frame {
  readonly seq: number;
  readonly capturedAt: number;
  readonly payload: Buffer;
  receivedAt: number | undefined;
}

const nowUs = () => now().wall_us;

/** What a launched source is: it makes frames until it is told to stop. */
class Load {
  readonly collector: string;
  readonly frames: Frame[] = [];
  readonly #ledger: string;
  #ended = false;

  constructor(launch: Launch) {
    this.collector = launch.environment.HOLDFAST_COLLECTOR_ID ?? '';
    this.#ledger = join(launch.folder?.host ?? '', launch.folder?.file ?? '');
    const fixed = { type: 'start', version: 1, seed: 7, settings: {} } as const;
    const whose = { run: EPOCH, collector: this.collector, at: nowUs(), next: 1, torn_bytes: 0 };
    appendFileSync(this.#ledger, formatLine({ ...fixed, ...whose }));
  }

  tick(blocked: boolean, sabotage: (seq: number) => boolean): void {
    if (!this.#ended) for (let at = 0; at < FRAMES_A_TICK; at += 1) this.#accept();
    if (blocked) return;
    for (const frame of this.waiting) if (!sabotage(frame.seq)) frame.receivedAt = nowUs();
    if (sabotage(-1)) this.#forget(sabotage);
  }

  /** Taken for stored, and lost. */
  #forget(sabotage: (seq: number) => boolean): void {
    for (const frame of this.frames) if (sabotage(frame.seq)) frame.receivedAt = -1;
  }

  get waiting(): Frame[] {
    return this.frames.filter(({ receivedAt }) => receivedAt === undefined);
  }

  end(): void {
    this.#ended = true;
    const attempts = this.frames.length;
    appendFileSync(this.#ledger, formatLine({ type: 'end', at: nowUs(), attempts }));
  }

  #accept(): void {
    const seq = this.frames.length + 1;
    const capturedAt = Math.max(nowUs(), (this.frames.at(-1)?.capturedAt ?? 0) + 1);
    const payload = Buffer.alloc(20);
    payload.writeUInt32BE(seq);
    const sha256 = createHash('sha256').update(payload).digest('hex');
    const attempt = { n: seq, captured_at: capturedAt, bytes: payload.length, sha256 };
    const lines = [
      formatLine({ type: 'attempt', ...attempt }),
      formatLine({ type: 'accepted', n: seq, epoch: EPOCH, seq }),
    ];
    appendFileSync(this.#ledger, lines.join(''));
    this.frames.push({ seq, capturedAt, payload, receivedAt: undefined });
  }
}

export class FakeLab implements Ground {
  readonly kind = 'process';
  readonly linkEntrance = '127.0.0.1:1';
  readonly linkListen = '127.0.0.1:1';
  readonly linkExit = '127.0.0.1:2';
  /** Every order to the ground and to its faults, in order. */
  readonly orders: string[] = [];
  /** What blocks the way from source to store. */
  readonly blocks = new Set<string>();
  /** Abilities that it lacks. */
  readonly lacks = new Set<Ability>();
  /** Frames that are said to be stored, and aren't. */
  sabotaged = new Set<number>();
  /** Frames that a collector beside the source has stored, too. */
  copied = new Set<number>();
  /** How often somebody asked how the link stands. */
  looks = 0;
  /** A folder for reports, removed at the end. */
  readonly folder = mkdtempSync(join(tmpdir(), 'holdfast-run-'));
  readonly #services = new Map<string, Service>();
  readonly #loads = new Map<string, Load>();
  readonly #server: Server;
  readonly #timer: NodeJS.Timeout;
  #url = '';

  static async start(): Promise<FakeLab> {
    const lab = new FakeLab();
    await new Promise<void>((resolve) => lab.#server.listen(0, '127.0.0.1', resolve));
    lab.#url = `http://127.0.0.1:${(lab.#server.address() as AddressInfo).port}`;
    return lab;
  }

  private constructor() {
    for (const name of ['server', 'toxiproxy', 'collector']) this.#add(name);
    this.#server = createServer(async (request, response) => {
      const body = await this.#answer(request, new URL(request.url ?? '/', 'http://x'));
      response.statusCode = body === null ? 404 : 200;
      response.end(typeof body === 'string' ? body : JSON.stringify(body));
    });
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
    rmSync(this.folder, { recursive: true, force: true });
  }

  get toxiproxyUrl(): string {
    return this.#url;
  }

  get services(): readonly Service[] {
    return [...this.#services.values()];
  }

  get launched(): string[] {
    return [...this.#loads.keys()];
  }

  cannot(ability: Ability): string | null {
    return this.lacks.has(ability) ? `no ${ability} here` : null;
  }

  service(name: string): Service {
    const service = this.#services.get(name);
    if (service === undefined) throw new Error(`there is no ${name}`);
    return service;
  }

  async launch(launch: Launch): Promise<Service> {
    this.orders.push(`launch ${launch.name}`);
    this.#loads.set(launch.name, new Load(launch));
    return this.#add(launch.name);
  }

  async remove({ name }: Service): Promise<void> {
    this.orders.push(`remove ${name}`);
    this.#services.delete(name);
    this.#loads.delete(name);
  }

  address(): string {
    return '127.0.0.1:3';
  }

  changeSecret(): Promise<InForce> {
    throw new Error('no scenario here changes the secret');
  }

  async heal(): Promise<string[]> {
    const mended = [...this.blocks].filter((one) => one !== 'link');
    for (const one of mended) this.blocks.delete(one);
    for (const name of this.#loads.keys()) {
      mended.push(`${name} was left`);
      this.#loads.delete(name);
      this.#services.delete(name);
    }
    this.orders.push('heal');
    return mended;
  }

  async leave(): Promise<void> {}

  async close(): Promise<void> {
    await this.heal();
  }

  #tick(): void {
    const sabotage = (seq: number) => (seq < 0 ? this.sabotaged.size > 0 : this.sabotaged.has(seq));
    for (const load of this.#loads.values()) load.tick(this.blocks.size > 0, sabotage);
  }

  #add(name: string): Service {
    const refuse = () => Promise.reject(new Error('no fault here does that'));
    const exits: Exit[] = [];
    const service: Service = {
      name,
      dataPath: null,
      exits,
      state: async () => ({ running: true, frozen: this.blocks.has(name), generation: '1' }),
      url: async () => this.#url,
      kill: refuse,
      signal: async (signal) => {
        if (signal === 'USR2') this.#loads.get(name)?.end();
      },
      freeze: async () => void this.blocks.add(name),
      thaw: async () => {
        this.orders.push(`thaw ${name}`);
        this.blocks.delete(name);
      },
      stop: refuse,
      start: refuse,
      run: refuse,
      log: async () => [`a line of ${name}`],
      usage: async () => ({ resident_bytes: 1, open_files: 1, disk_bytes: 0 }),
      traffic: refuse,
      failCalls: refuse,
      limitFiles: refuse,
      unplug: refuse,
      plug: refuse,
    };
    this.#services.set(name, service);
    return service;
  }

  #copies(rows: string): string {
    const lines = rows.split('\n').filter((line) => line !== '');
    const copied = lines.filter((line) => this.copied.has(JSON.parse(line).seq));
    const renamed = copied.map((line) => JSON.stringify({ ...JSON.parse(line), collector: 'x' }));
    return renamed.map((line) => `${line}\n`).join('');
  }

  async #answer(request: IncomingMessage, url: URL): Promise<unknown> {
    const collector = url.searchParams.get('collector');
    const loads = [...this.#loads.values()].filter((one) => one.collector === collector);
    if (url.pathname === '/status') return statusOf(this.#loads.get('source'));
    if (url.pathname === '/api/v1/audit') return { collectors: loads.map(auditOf) };
    if (url.pathname === '/api/v1/export') {
      const rows = (collector === null ? [...this.#loads.values()] : loads).map(exportOf).join('');
      return collector === null ? rows + this.#copies(rows) : rows;
    }
    if (url.pathname !== '/proxies/link') return null;
    if (request.method !== 'GET') {
      const { enabled } = JSON.parse(await textOf(request)) as { enabled: boolean };
      if (enabled) this.blocks.delete('link');
      else this.blocks.add('link');
    }
    const enabled = !this.blocks.has('link');
    this.looks += 1;
    return { name: 'link', listen: 'here:1', upstream: this.linkExit, enabled, toxics: [] };
  }
}

function statusOf(load: Load | undefined): unknown {
  if (load === undefined) return null;
  const { waiting, frames, collector } = load;
  const acked = frames.length - waiting.length;
  const [oldest] = waiting;
  const queue = {
    frames: waiting.length,
    oldest_captured_at: oldest === undefined ? null : formatTime(oldest.capturedAt),
  };
  const late = waiting.length > FRAMES_A_TICK * 2;
  return { collector, state: late ? 'Backoff' : 'Ready', queue, counters: { acked } };
}

function auditOf({ collector, frames, waiting }: Load): unknown {
  const stored = frames.length - waiting.length;
  const none = { declared: [], rejected: [], pruned: [], pending: [], missing: [] };
  const nothing = { declared: 0, pruned: 0, missing: 0, duplicates_refused: 0 };
  const totals = { stored, pending: waiting.length, ...nothing };
  return { collector, totals, epochs: [{ epoch: EPOCH, last: stored, stored, ...none }] };
}

function exportOf({ collector, frames }: Load): string {
  const lines = frames.flatMap(({ seq, capturedAt, payload, receivedAt }) => {
    if (receivedAt === undefined || receivedAt < 0) return [];
    const crc = frameCrc({ epoch: EPOCH, seq, capturedAt, payload });
    const row = {
      collector,
      epoch: EPOCH,
      seq,
      captured_at: formatTime(capturedAt),
      received_at: formatTime(receivedAt),
      crc32: crc.toString(16).padStart(8, '0'),
      payload_base64: payload.toString('base64'),
    };
    return [`${JSON.stringify(row)}\n`];
  });
  return lines.join('');
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

/** Where a fault of the tests stops until it is let go on. */
export type Hook = (phase: 'inject' | 'effect' | 'lift' | 'running') => Promise<void> | void;

/**
 * A fault that blocks the way, and tells the lab's list what is done with it.
 * @param frozen what stands still by it; something that no service is, when left out.
 */
export function blockKind(
  lab: FakeLab,
  kind: string,
  hook: Hook = () => undefined,
  frozen?: string,
): FaultKind {
  const phase = async (what: Parameters<Hook>[0], name: string) => {
    lab.orders.push(`${what} ${name}`);
    await hook(what);
  };
  return {
    kind,
    summary: 'blocks the way to the store',
    arguments: z.strictObject({}),
    needs: [],
    make: (_, name): Fault => ({
      name,
      target: 'link',
      outage: false,
      inject: async () => {
        lab.blocks.add(frozen ?? name);
        await phase('inject', name);
      },
      effect: async () => {
        await phase('effect', name);
        return 'the way was blocked';
      },
      lift: async () => {
        await phase('lift', name);
        lab.blocks.delete(frozen ?? name);
      },
      running: () => phase('running', name),
    }),
  };
}
