/**
 * The options of a producer: what they mean, their defaults and ranges, and their check, which
 * names everything that is wrong at once. The only place that knows what is left out by default.
 */
import { COLLECTOR_ID_RULE, isCollectorId } from '#protocol/identity.ts';
import { TOKEN_BYTES_MIN } from '#protocol/limits.ts';
import { isPort, parseServerAddress, SERVER_ADDRESS_RULE, type ServerAddress } from './address.ts';
import { ArgumentError, type OptionProblem, OptionsError } from './errors.ts';
import type { DrainOrder } from './lanes.ts';
import type { LinkTls } from './link.ts';
import type { WhenFull } from './queue/queue.ts';

export interface ProducerOptions {
  /** `host:port` (an IPv6 address in brackets), or the two apart. */
  readonly server: string | ServerAddress;
  /** The secret shared with the server: 16 bytes or more; text counts in UTF-8. */
  readonly token: string | Uint8Array;
  /**
   * TLS 1.3 on the link, and what it is done with: `ca`, `servername`, `cert` and `key`, none of which
   * must be given. As a function it is asked for each dial, so that renewed certificates count
   * without a new start. By default there is no TLS: both ends are proven, and what they say can be
   * read and forged by who controls the way.
   */
  readonly tls?: LinkTls | (() => LinkTls) | undefined;
  /** The queue's own directory; made when missing. One producer at a time. */
  readonly queuePath: string;
  /** Without one the id that the queue's directory keeps is used, made at its first opening. */
  readonly collectorId?: string | undefined;
  /** How much disk the queue may take, in bytes: 64 KiB to 1 TiB. Default 1 GiB. */
  readonly queueLimitBytes?: number | undefined;
  /** At that limit: the oldest frames are given up and declared (default), or new ones refused. */
  readonly queueWhenFull?: WhenFull | undefined;
  /**
   * Frames that wait for longer, in milliseconds, are given up and declared as expired; 0 (default):
   * never. By the monotonic clock; over a restart the time counts anew. At most 365 days.
   */
  readonly queueMaxAgeMs?: number | undefined;
  /**
   * Bytes that were given to `send` and are on their way to the disk, at most: payloads, and 64 for
   * each frame. Sends beyond it wait for their turn. 1 to 1 GiB, default 8 MiB; a single larger
   * frame passes alone.
   */
  readonly unsyncedBytesMax?: number | undefined;
  /** What leaves first after an outage: the oldest frames (default), or new ones. */
  readonly drainOrder?: DrainOrder | undefined;
  /** With `live`: the backlog's part of the link while new frames wait too, 0 to 100; default 50. */
  readonly backlogSharePercent?: number | undefined;
  /** How long a frame may wait for others to share a message with, 0 to 60,000 ms; default 0. */
  readonly flushIntervalMs?: number | undefined;
  /** `auto` (default): frames are compressed on the way where the link limits and where it pays. */
  readonly compression?: 'auto' | 'off' | undefined;
  /**
   * How much of what the server has confirmed stays in the queue, to be sent again should the server
   * lose it: bytes (default 64 MiB, at most 1 TiB) and milliseconds (default 1 h, at most 7 days);
   * both hold. 0 keeps none.
   */
  readonly keepSettledBytes?: number | undefined;
  readonly keepSettledMs?: number | undefined;
}

/** The same, checked, with nothing left out. */
export interface CompleteOptions {
  readonly server: ServerAddress;
  readonly token: Uint8Array;
  readonly tls: LinkTls | (() => LinkTls) | undefined;
  readonly queuePath: string;
  readonly collectorId: string | undefined;
  readonly queueLimitBytes: number;
  readonly queueWhenFull: WhenFull;
  readonly queueMaxAgeMs: number;
  readonly unsyncedBytesMax: number;
  readonly drainOrder: DrainOrder;
  readonly backlogSharePercent: number;
  readonly flushIntervalMs: number;
  readonly compression: 'auto' | 'off';
  readonly keepSettledBytes: number;
  readonly keepSettledMs: number;
}

const MIB = 1_024 ** 2;
const GIB = 1_024 ** 3;
const TIB = 1_024 ** 4;
const DAY_MS = 86_400_000;

/** Whole numbers. */
const NUMBERS = {
  queueLimitBytes: { min: 65_536, max: TIB, default: GIB },
  queueMaxAgeMs: { min: 0, max: 365 * DAY_MS, default: 0 },
  unsyncedBytesMax: { min: 1, max: GIB, default: 8 * MIB },
  backlogSharePercent: { min: 0, max: 100, default: 50 },
  flushIntervalMs: { min: 0, max: 60_000, default: 0 },
  keepSettledBytes: { min: 0, max: TIB, default: 64 * MIB },
  keepSettledMs: { min: 0, max: 7 * DAY_MS, default: 3_600_000 },
} as const;

/** The first is the default. */
const CHOICES = {
  queueWhenFull: ['drop-oldest', 'refuse'],
  drainOrder: ['oldest', 'live'],
  compression: ['auto', 'off'],
} as const;

const NAMES: ReadonlySet<string> = new Set([
  'server',
  'token',
  'tls',
  'queuePath',
  'collectorId',
  ...Object.keys(NUMBERS),
  ...Object.keys(CHOICES),
]);

/** @throws OptionsError naming every option that is wrong; it never shows the token. */
export function checkOptions(options: ProducerOptions): CompleteOptions {
  const check = new OptionsCheck(options);
  const complete = {
    server: check.server(),
    token: check.token(),
    tls: check.tls(),
    queuePath: check.queuePath(),
    collectorId: check.collectorId(),
    queueLimitBytes: check.number('queueLimitBytes'),
    queueWhenFull: check.choice('queueWhenFull'),
    queueMaxAgeMs: check.number('queueMaxAgeMs'),
    unsyncedBytesMax: check.number('unsyncedBytesMax'),
    drainOrder: check.choice('drainOrder'),
    backlogSharePercent: check.number('backlogSharePercent'),
    flushIntervalMs: check.number('flushIntervalMs'),
    compression: check.choice('compression'),
    keepSettledBytes: check.number('keepSettledBytes'),
    keepSettledMs: check.number('keepSettledMs'),
  };
  check.names();
  if (check.problems.length > 0) throw new OptionsError(check.problems);
  return complete;
}

/** Takes options one by one, and notes what is wrong; what it answers for those is not used. */
class OptionsCheck {
  readonly problems: OptionProblem[] = [];
  readonly #given: Readonly<Record<string, unknown>>;

  constructor(options: unknown) {
    this.#given = typeof options === 'object' && options !== null ? { ...options } : {};
  }

  server(): ServerAddress {
    const { server } = this.#given;
    const address = typeof server === 'string' ? parseServerAddress(server) : server;
    if (isServerAddress(address)) return { host: address.host, port: address.port };
    this.#note('server', SERVER_ADDRESS_RULE, show(server));
    return { host: '', port: 0 };
  }

  token(): Uint8Array {
    const { token } = this.#given;
    const bytes = typeof token === 'string' ? Buffer.from(token) : token;
    if (bytes instanceof Uint8Array && bytes.length >= TOKEN_BYTES_MIN) return bytes;
    const got = bytes instanceof Uint8Array ? `${bytes.length} bytes` : kindOf(token);
    this.#note('token', `text or bytes, ${TOKEN_BYTES_MIN} bytes or more`, got);
    return Buffer.alloc(0);
  }

  tls(): LinkTls | (() => LinkTls) | undefined {
    const { tls } = this.#given;
    if (tls === undefined || isTlsSource(tls)) return tls;
    const rule = `an object with none but ${TLS_PARTS.join(', ')}, texts all, cert and key together; or a function that answers one`;
    this.#note('tls', rule, kindOf(tls));
    return undefined;
  }

  queuePath(): string {
    const { queuePath } = this.#given;
    if (typeof queuePath === 'string' && queuePath !== '' && !queuePath.includes('\0')) {
      return queuePath;
    }
    this.#note('queuePath', 'the path of a directory', show(queuePath));
    return '';
  }

  collectorId(): string | undefined {
    const { collectorId } = this.#given;
    if (collectorId === undefined) return undefined;
    if (typeof collectorId === 'string' && isCollectorId(collectorId)) return collectorId;
    this.#note('collectorId', COLLECTOR_ID_RULE, show(collectorId));
    return undefined;
  }

  number(option: keyof typeof NUMBERS): number {
    const { min, max, default: usual } = NUMBERS[option];
    const value = this.#given[option] ?? usual;
    if (isWholeNumber(value, min, max)) return value;
    this.#note(option, `a whole number from ${min} to ${max}`, show(value));
    return usual;
  }

  choice<O extends keyof typeof CHOICES>(option: O): (typeof CHOICES)[O][number] {
    const choices: readonly (typeof CHOICES)[O][number][] = CHOICES[option];
    const value = this.#given[option] ?? CHOICES[option][0];
    const chosen = choices.find((choice) => choice === value);
    if (chosen !== undefined) return chosen;
    this.#note(option, `one of ${choices.join(', ')}`, show(value));
    return CHOICES[option][0];
  }

  /** A misspelt option would silently have no effect. */
  names(): void {
    for (const name of Object.keys(this.#given)) {
      if (!NAMES.has(name)) this.#note(name, 'an option that exists; this is none', 'it');
    }
  }

  #note(option: string, rule: string, got: string): void {
    this.problems.push({ option, rule, got });
  }
}

/**
 * The options of a call: no others than these, since a misspelt one would silently have no effect,
 * and a signal that is one.
 * @throws ArgumentError
 */
export function checkCallOptions(options: unknown, names: readonly string[]): void {
  if (typeof options !== 'object' || options === null) {
    throw new ArgumentError('options', 'an object', show(options));
  }
  for (const name of Object.keys(options)) {
    if (!names.includes(name)) {
      throw new ArgumentError('an option', `one of ${names.join(', ')}`, show(name));
    }
  }
  const { signal }: { signal?: unknown } = options;
  if (signal !== undefined && !isAbortSignal(signal)) {
    throw new ArgumentError('signal', 'an AbortSignal', show(signal));
  }
}

/** By what is used of it: there are others than the platform's. */
function isAbortSignal(signal: unknown): boolean {
  if (typeof signal !== 'object' || signal === null) return false;
  const { aborted, addEventListener, removeEventListener } = signal as Partial<
    Record<keyof AbortSignal, unknown>
  >;
  return (
    typeof aborted === 'boolean' &&
    typeof addEventListener === 'function' &&
    typeof removeEventListener === 'function'
  );
}

/**
 * A deadline or another time to wait, in milliseconds: 0 to about 24 days, what a timer can hold.
 * @throws ArgumentError
 */
export function checkWaitMs(name: string, ms: number): void {
  if (!(typeof ms === 'number' && ms >= 0 && ms <= WAIT_MS_MAX)) {
    throw new ArgumentError(name, `a number from 0 to ${WAIT_MS_MAX}`, show(ms));
  }
}

const WAIT_MS_MAX = 2_147_483_647;

/** A value in a few words for a message. */
export function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 80));
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  return kindOf(value);
}

function kindOf(value: unknown): string {
  if (value === undefined || value === null) return 'nothing';
  return typeof value === 'object' ? (value.constructor?.name ?? 'an object') : `a ${typeof value}`;
}

function isServerAddress(address: unknown): address is ServerAddress {
  if (typeof address !== 'object' || address === null) return false;
  const { host, port }: Partial<Record<keyof ServerAddress, unknown>> = address;
  return typeof host === 'string' && host !== '' && typeof port === 'number' && isPort(port);
}

const TLS_PARTS: readonly (keyof LinkTls)[] = ['ca', 'servername', 'cert', 'key'];

function isTlsSource(tls: unknown): tls is LinkTls | (() => LinkTls) {
  if (typeof tls === 'function') return true;
  if (typeof tls !== 'object' || tls === null) return false;
  const parts = Object.entries(tls).filter(([, value]) => value !== undefined);
  const known = parts.every(
    ([name, value]) => TLS_PARTS.some((part) => part === name) && typeof value === 'string',
  );
  const given = new Set(parts.map(([name]) => name));
  return known && given.has('cert') === given.has('key');
}

function isWholeNumber(value: unknown, min: number, max: number): value is number {
  return Number.isInteger(value) && Number(value) >= min && Number(value) <= max;
}
