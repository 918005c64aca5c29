/**
 * Ports of 127.0.0.1: whether those that the lab publishes are free, what to say when not, and one
 * that is free for what asks for any.
 */
import assert from 'node:assert';
import { randomInt } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { LAB_SETTINGS, type LabConfig, PORTS } from '#lab/config.ts';
import type { Docker } from '#lab/docker.ts';
import { EXIT, LabError } from '#lab/errors.ts';

const PORT_MAX = 65_535;
const OTHER_PORT_MIN = 10_000;
/** Where the kernel doesn't say, or says that all are for outgoing connections. */
const OTHER_PORT_MAX = 32_768;
const OTHER_PORT_ATTEMPTS = 100;

/** True when this process could listen on the port of 127.0.0.1. */
export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      server.close(() => resolve(true));
    });
  });
}

/** A port of 127.0.0.1 that is free now; nothing keeps it free. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen({ port: 0, host: '127.0.0.1' }, () => {
      const address = server.address();
      assert(typeof address === 'object' && address !== null, 'a TCP server has an address');
      server.close(() => resolve(address.port));
    });
  });
}

/**
 * A free port for a service that others dial while it is down, and none of `spoken`: outside the
 * range that the kernel gives to outgoing connections. A port from within it may be taken when the
 * service comes back, and one that is dialled there in vain may connect to itself.
 */
export async function otherPort(spoken: readonly number[] = []): Promise<number> {
  for (let attempts = 0; attempts < OTHER_PORT_ATTEMPTS; attempts += 1) {
    const port = randomInt(OTHER_PORT_MIN, ephemeralPortMin());
    if (!spoken.includes(port) && (await isFree(port))) return port;
  }
  return freePort();
}

function ephemeralPortMin(): number {
  const range = '/proc/sys/net/ipv4/ip_local_port_range';
  const min = existsSync(range) ? Number.parseInt(readFileSync(range, 'utf8'), 10) : 0;
  return min > OTHER_PORT_MIN ? min : OTHER_PORT_MAX;
}

export interface TakenPort {
  port: number;
  /** The variable that moves it. */
  variable: string;
  purpose: string;
  /** The container that publishes it, when it is one. */
  holder: string | null;
  /** A free port near it, to offer instead. */
  instead: number | null;
}

/**
 * The lab's ports that something other than this lab holds.
 * @param own names of this lab's containers, whose ports are rightly taken.
 */
export async function takenPorts(
  config: LabConfig,
  docker: Pick<Docker, 'publisherOf'>,
  own: ReadonlySet<string>,
): Promise<TakenPort[]> {
  const taken: TakenPort[] = [];
  const spoken = new Set(PORTS.map(({ key }) => config[key]));
  for (const { key, purpose } of PORTS) {
    const port = config[key];
    if (await isFree(port)) continue;
    const holder = await docker.publisherOf(port);
    if (holder !== null && own.has(holder)) continue;
    const instead = await freePortAfter(port, spoken);
    if (instead !== null) spoken.add(instead);
    taken.push({ port, variable: LAB_SETTINGS[key].name, purpose, holder, instead });
  }
  return taken;
}

/** @throws LabError `port_taken` naming each port, who needs it, and the variable that moves it. */
export function refuseTakenPorts(taken: readonly TakenPort[]): void {
  if (taken.length === 0) return;
  const moves = taken.map(({ variable, port, instead }) => `${variable}=${instead ?? port + 1}`);
  throw new LabError({
    code: 'port_taken',
    exitCode: EXIT.usage,
    message: 'a port that the lab needs is in use by something else',
    details: taken.map(describeTaken),
    next: [
      `Free it, or move the lab: ${moves.join(' ')} make up`,
      'To keep that, put the same lines into the file .env beside the Makefile.',
    ],
  });
}

export function describeTaken(taken: TakenPort): string {
  const by = taken.holder === null ? '' : ` by the container ${taken.holder}`;
  return `127.0.0.1:${taken.port} is in use${by}; ${taken.purpose} needs it (${taken.variable})`;
}

async function freePortAfter(port: number, spoken: ReadonlySet<number>): Promise<number | null> {
  const last = Math.min(port + 100, PORT_MAX);
  for (let candidate = port + 1; candidate <= last; candidate += 1) {
    if (!spoken.has(candidate) && (await isFree(candidate))) return candidate;
  }
  return null;
}
