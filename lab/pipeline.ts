/**
 * What the running pipeline says of itself, over the ports that it publishes: the collector's
 * status, the server's readiness, collectors and audit. Reads only; every call has a time limit,
 * and no answer is an answer as well.
 */
import { z } from 'zod';

const CALL_TIMEOUT_MS = 3_000;

const collectorStatus = z.object({
  collector: z.string().nullish(),
  state: z.string().nullish(),
  since: z.string().nullish(),
  next_retry_at: z.string().nullish(),
  last_error: z
    .object({
      code: z.string().optional(),
      message: z.string().optional(),
      at: z.string().optional(),
    })
    .nullish(),
  queue: z
    .object({
      frames: z.number(),
      bytes: z.number(),
      kept_bytes: z.number().optional(),
      oldest_captured_at: z.string().nullish(),
    })
    .nullish(),
  counters: z.record(z.string(), z.number()).nullish(),
});

const collectors = z.object({
  collectors: z.array(
    z.object({
      collector: z.string(),
      connected: z.boolean(),
      newest: z.object({ captured_at: z.string() }).nullable(),
    }),
  ),
});

const audit = z.object({
  collectors: z.array(
    z.object({
      collector: z.string(),
      connected: z.boolean(),
      last_heard_at: z.string().nullable(),
      silent_since: z.string().nullable(),
      totals: z.object({
        stored: z.number(),
        declared: z.number(),
        rejected: z.number(),
        pending: z.number(),
        missing: z.number(),
      }),
    }),
  ),
});

export type CollectorStatus = z.infer<typeof collectorStatus>;
export type AuditedCollector = z.infer<typeof audit>['collectors'][number];

/** An answer, or why there is none: "nobody listens", "503: the store is being opened". */
export type Answer<T> = { ok: true; value: T } | { ok: false; reason: string };

export class Pipeline {
  readonly #status: string;
  readonly #api: string;

  constructor(ports: { readonly statusPort: number; readonly apiPort: number }) {
    this.#status = `http://127.0.0.1:${ports.statusPort}`;
    this.#api = `http://127.0.0.1:${ports.apiPort}`;
  }

  collectorStatus(): Promise<Answer<CollectorStatus>> {
    return getJson(`${this.#status}/status`, collectorStatus);
  }

  async serverReady(): Promise<Answer<string>> {
    return getText(`${this.#api}/readyz`);
  }

  async audit(): Promise<Answer<AuditedCollector[]>> {
    const answer = await getJson(`${this.#api}/api/v1/audit`, audit);
    return answer.ok ? { ok: true, value: answer.value.collectors } : answer;
  }

  /**
   * When the newest stored frame was captured, over all collectors: milliseconds since 1970 UTC,
   * null when nothing is stored.
   */
  async newestStoredMs(): Promise<Answer<number | null>> {
    const answer = await getJson(`${this.#api}/api/v1/collectors`, collectors);
    if (!answer.ok) return answer;
    const times = answer.value.collectors.flatMap(({ newest }) =>
      newest === null ? [] : [Date.parse(newest.captured_at)],
    );
    return { ok: true, value: times.length === 0 ? null : Math.max(...times) };
  }
}

async function getJson<T>(url: string, schema: z.ZodType<T>): Promise<Answer<T>> {
  const answer = await getText(url);
  if (!answer.ok) return answer;
  try {
    const parsed = schema.safeParse(JSON.parse(answer.value));
    if (parsed.success) return { ok: true, value: parsed.data };
    return { ok: false, reason: `${url} answers in an unknown shape` };
  } catch {
    return { ok: false, reason: `${url} does not answer in JSON` };
  }
}

async function getText(url: string): Promise<Answer<string>> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(CALL_TIMEOUT_MS) });
    const text = (await response.text()).trim();
    if (response.ok) return { ok: true, value: text };
    return { ok: false, reason: `${url} answers ${response.status}: ${text.slice(0, 200)}` };
  } catch (error) {
    if ((error as Error).name === 'TimeoutError') {
      return { ok: false, reason: `${url} does not answer within ${CALL_TIMEOUT_MS / 1000} s` };
    }
    const code = ((error as Error).cause as { code?: string } | undefined)?.code;
    const why = code === 'ECONNREFUSED' ? 'nobody listens' : (code ?? (error as Error).message);
    return { ok: false, reason: `${url}: ${why}` };
  }
}
