/** The server's API: asks, and says in words what went wrong. Keeps nothing, repeats nothing. */
import type {
  AuditAnswer,
  CatalogueAnswer,
  CollectorsAnswer,
  FramesAnswer,
  GapsAnswer,
  LabAnswer,
  Link,
  LinkAction,
} from './answers.ts';
import type { SeriesAnswer } from './columns.ts';
import type { Window } from './range.ts';
import { rfc3339 } from './time.ts';

const DEADLINE_MS = 8_000;
/** Orders are carried out one after the other, those of others too, and Toxiproxy may be slow. */
const ORDER_DEADLINE_MS = 30_000;

/** `status` is 0 where there was no answer at all. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export function askCollectors(): Promise<CollectorsAnswer> {
  return ask('/api/v1/collectors');
}

/** Of all collectors, or of one. */
export function askAudit(collector?: string): Promise<AuditAnswer> {
  return ask('/api/v1/audit', collector === undefined ? [] : [['collector', collector]]);
}

export function askGaps(collector: string, { from, to }: Window): Promise<GapsAnswer> {
  return ask('/api/v1/gaps', [
    ['collector', collector],
    ['from', rfc3339(from)],
    ['to', rfc3339(to)],
  ]);
}

/** The newest frames of an epoch, newest first. */
export function askFrames(collector: string, epoch: string, limit: number): Promise<FramesAnswer> {
  return ask('/api/v1/frames', [
    ['collector', collector],
    ['epoch', epoch],
    ['limit', String(limit)],
  ]);
}

export function askCatalogue(collector: string): Promise<CatalogueAnswer> {
  return ask('/api/v1/series/metrics', [['collector', collector]]);
}

export function askSeries(
  collector: string,
  metrics: readonly string[],
  { from, to }: Window,
  points: number,
): Promise<SeriesAnswer> {
  return ask('/api/v1/series', [
    ['collector', collector],
    ...metrics.map((metric) => ['metric', metric] as const),
    ['from', rfc3339(from)],
    ['to', rfc3339(to)],
    ['points', String(points)],
    ['form', 'columns'],
  ]);
}

/** null where there is no lab. */
export async function askLab(): Promise<LabAnswer | null> {
  try {
    return await ask<LabAnswer>('/api/v1/lab');
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return null;
    throw error;
  }
}

export async function changeLink(action: LinkAction): Promise<Link> {
  const options = {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(action),
  };
  return request('/api/v1/lab/link', options, ORDER_DEADLINE_MS);
}

/** Where the frames captured in this time can be had as they are. */
export function exportHref(
  collector: string,
  { from, to }: Window,
  format: 'ndjson' | 'csv',
): string {
  return pathOf('/api/v1/export', [
    ['collector', collector],
    ['from', rfc3339(from)],
    ['to', rfc3339(to)],
    ['format', format],
  ]);
}

type Query = readonly (readonly [string, string])[];

function ask<T>(path: string, query: Query = []): Promise<T> {
  return request<T>(pathOf(path, query), {});
}

function pathOf(path: string, query: Query): string {
  return query.length === 0
    ? path
    : `${path}?${new URLSearchParams(query.map(([...pair]) => pair))}`;
}

async function request<T>(
  path: string,
  options: RequestInit,
  deadlineMs = DEADLINE_MS,
): Promise<T> {
  let response: Response;
  try {
    response = await fetch(path, { ...options, signal: AbortSignal.timeout(deadlineMs) });
  } catch (error) {
    const slow = error instanceof DOMException && error.name === 'TimeoutError';
    const text = slow ? `nothing within ${deadlineMs / 1_000} s` : 'no connection';
    throw new ApiError(0, `the server does not answer: ${text}`);
  }
  if (!response.ok) throw new ApiError(response.status, await problemText(response));
  try {
    return (await response.json()) as T;
  } catch {
    throw new ApiError(0, 'the answer of the server broke off');
  }
}

/** The detail of a problem document; a proxy in between may answer anything else. */
async function problemText(response: Response): Promise<string> {
  if (response.status === 401) {
    return 'the server asks for a token: reload this page and give the token as the password, with any user name';
  }
  const { detail } = await response.json().catch(() => ({}));
  if (typeof detail === 'string') return `the server refuses: ${detail}`;
  return `the server does not answer: ${response.status} ${response.statusText}`;
}
