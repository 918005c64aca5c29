/**
 * The load source as a scenario has it: a program of its own on the ground, beside the lab's
 * collector, with an id, a queue and a payload seed that no other run had, and its ledger in a
 * folder of this machine.
 */
import {
  chmodSync,
  closeSync,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readSync,
} from 'node:fs';
import { join } from 'node:path';
import { type Ground, PORT_IN_COMPOSE, type Service } from '#lab/ground/ground.ts';
import type { CollectorStatus } from '../observe/observer.ts';
import { fetchJson, waitUntil } from '../observe/wait.ts';
import type { Scenario } from '../scenario/scenario.ts';

const LEDGER_END_BYTES = 200;

export type SourceName = 'source' | 'bystander';

export interface SourceOptions {
  readonly ground: Ground;
  readonly name: SourceName;
  /** Names it at the server; no two sources of a lab may share one. */
  readonly collector: string;
  /** The scenario's folder. */
  readonly folder: string;
  readonly configuration: Scenario['configuration'];
  readonly random: () => number;
}

export class Source {
  readonly name: SourceName;
  readonly collector: string;
  readonly ledgerPath: string;
  readonly service: Service;

  static async launch(options: SourceOptions): Promise<Source> {
    const { ground, name, collector, configuration, folder, random } = options;
    const { load, environment } = configuration;
    const ledgers = join(folder, 'ledger');
    mkdirSync(ledgers, { recursive: true });
    // Written by the user of an image, which is not the one who runs this.
    chmodSync(ledgers, 0o777);
    const service = await ground.launch({
      name,
      command: ['node', 'chaos/source/main.ts'],
      environment: {
        ...environment,
        HOLDFAST_SERVER: ground.linkEntrance,
        HOLDFAST_COLLECTOR_ID: collector,
        HOLDFAST_QUEUE_PATH: '/queue',
        HOLDFAST_STATUS_HOST: '0.0.0.0',
        HOLDFAST_STATUS_PORT: String(PORT_IN_COMPOSE.status),
        HOLDFAST_LOAD_RATE: String(load.rate),
        HOLDFAST_LOAD_SEED: String(Math.floor(random() * 2 ** 32)),
        ...(load.payloads === undefined ? {} : { HOLDFAST_LOAD_PAYLOADS: load.payloads }),
      },
      ports: [PORT_IN_COMPOSE.status],
      networks: ['edge'],
      data: '/queue',
      folder: { host: ledgers, variable: 'HOLDFAST_LEDGER_PATH', file: `${name}.jsonl` },
      joins: true,
    });
    return new Source({ name, collector, service, ledgerPath: join(ledgers, `${name}.jsonl`) });
  }

  private constructor(parts: Pick<Source, 'name' | 'collector' | 'service' | 'ledgerPath'>) {
    this.name = parts.name;
    this.collector = parts.collector;
    this.service = parts.service;
    this.ledgerPath = parts.ledgerPath;
  }

  async status(): Promise<CollectorStatus> {
    return fetchJson(`${await this.service.url(PORT_IN_COMPOSE.status)}/status`);
  }

  /** No more attempts; resolves when each has its answer and the ledger says so. */
  async endLoad(signal: AbortSignal): Promise<void> {
    await this.service.signal('USR2');
    const ended = () => tail(this.ledgerPath).includes('"type":"end"');
    await waitUntil(`the ledger of the ${this.name} ends`, ended, { signal });
  }
}

function tail(path: string): string {
  if (!existsSync(path)) return '';
  const file = openSync(path, 'r');
  try {
    const { size } = fstatSync(file);
    const bytes = Buffer.alloc(Math.min(size, LEDGER_END_BYTES));
    readSync(file, bytes, 0, bytes.length, size - bytes.length);
    return bytes.toString('utf8');
  } finally {
    closeSync(file);
  }
}
