/**
 * What was measured at one moment, and the bytes that it becomes. Those bytes are made here, once;
 * from here on they are the opaque payload of a frame.
 *
 * Not here: how anything is measured (`probes/`), and the time of the sample: it is the frame's
 * capture time, and stands nowhere else, so that the two can't disagree.
 */
import { CATALOGUE, type MetricName } from './catalogue.ts';

export const SAMPLE_SCHEMA = 'holdfast.sample/1';

/** Whose value it is: the machine's, or that of the container in which the collector runs. */
export type Scope = 'host' | 'container';

export type Attributes = Readonly<Record<string, string | number>>;

export interface Metric {
  readonly name: MetricName;
  readonly unit: string;
  readonly scope: Scope;
  /** Finite; a probe that could not tell leaves the metric out. */
  readonly value: number;
  readonly attributes?: Attributes;
}

/** A probe that gave no values, or not all of them, and why. */
export interface ProbeError {
  readonly probe: string;
  readonly error: string;
}

export interface Resource {
  readonly 'host.name': string;
  readonly 'os.type': string;
  readonly 'os.version': string;
  /** The collector runs in a container: `host.name` is the container's, then. */
  readonly container: boolean;
}

export interface Sample {
  readonly schema: typeof SAMPLE_SCHEMA;
  readonly resource: Resource;
  readonly metrics: readonly Metric[];
  readonly errors: readonly ProbeError[];
}

/** A metric with the unit that the catalogue prescribes for its name. */
export function metric(
  name: MetricName,
  scope: Scope,
  value: number,
  attributes?: Attributes,
): Metric {
  const { unit } = CATALOGUE[name];
  return attributes === undefined
    ? { name, unit, scope, value }
    : { name, unit, scope, value, attributes };
}

/** The payload: UTF-8 JSON. Call it once per sample. */
export function encodeSample(sample: Sample): Uint8Array {
  return Buffer.from(JSON.stringify(sample), 'utf8');
}
