/**
 * What the page is tried on: a lab as processes of its own (server, collector, a real Toxiproxy), and
 * a Chromium. One of each for the tests of a file.
 *
 * Whatever a page does that it should not fails the test: an error on the console (a violation of the
 * policy is one), an exception, a request to another origin. Of a test that failed, what the page
 * looked like and what it said is kept in test-output/browser/.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type Browser,
  type BrowserContextOptions,
  type ConsoleMessage,
  chromium,
  type Page,
} from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { ProcessGround } from '#lab/ground/process/ground.ts';
import { markedWith } from '#lab/ground/process/proc.ts';
import { Link } from '#lab/link.ts';
import { PATHS } from '#lab/paths.ts';
import { Pipeline } from '#lab/pipeline.ts';
import type { LabContext } from '#lab/setup.ts';
import { down } from '#lab/stop.ts';
import { up } from '#lab/up.ts';
import { labOfItsOwn } from '../ground/own-lab.ts';

/** How long a page is waited for; Playwright asks by itself. */
const DEADLINE_MS = 60_000;

const FOLDER = join(PATHS.results, 'browser');
const DESKTOP = { width: 1280, height: 900 };
export const PHONE = { width: 390, height: 844 };

export interface Stage {
  readonly context: LabContext;
  readonly ground: ProcessGround;
  readonly pipeline: Pipeline;
  readonly link: Link;
  /** The server's page, and the collector's. */
  readonly url: string;
  readonly collectorUrl: string;
  /** A page of a new visitor at that path or address; `/` of the server without one. */
  openPage(options?: PageOptions): Promise<Page>;
}

interface PageOptions extends BrowserContextOptions {
  readonly at?: string;
  /** Errors on the console that the test brings about, such as those of a server that is away. */
  readonly expected?: RegExp;
  /** Done to it before it is opened. */
  readonly before?: (page: Page) => Promise<unknown>;
}

interface Watched {
  readonly page: Page;
  readonly said: string[];
  readonly wrong: string[];
}

/** Brings it up before a file's tests, and down behind them. What is returned is there in tests. */
export function useStage(): Stage {
  const stage = {} as { -readonly [K in keyof Stage]: Stage[K] };
  const watched: Watched[] = [];
  let browser: Browser | undefined;

  beforeAll(async () => {
    stage.context = await labOfItsOwn();
    const { config, files } = stage.context;
    const printed: string[] = [];
    await up(stage.context, (line) => printed.push(line));
    stage.ground = await ProcessGround.open(files);
    stage.pipeline = new Pipeline(config);
    stage.link = new Link(config.toxiproxyPort);
    stage.url = `http://127.0.0.1:${config.apiPort}/`;
    stage.collectorUrl = `http://127.0.0.1:${config.statusPort}/`;
    const started = await launch();
    browser = started;
    stage.openPage = async (options) => {
      const one = await open(started, stage.url, options);
      watched.push(one);
      return one.page;
    };
  });

  afterEach(async ({ task }) => {
    const seen = watched.splice(0);
    const wrong = seen.flatMap((one) => one.wrong);
    const hasFailed = task.result?.state === 'fail' || wrong.length > 0;
    for (const [index, one] of seen.entries()) {
      if (hasFailed) await keep(`failed-${slug(task.name)}-${index}`, one);
      // What it asks for in this moment has nobody to answer it any more.
      await one.page.unrouteAll({ behavior: 'ignoreErrors' });
      await one.page.context().close();
    }
    expect(wrong, 'what a page did and should not').toEqual([]);
  });

  afterAll(async () => {
    await browser?.close();
    await stage.ground?.close();
    await down(stage.context, () => {});
    expect(markedWith(stage.context.files.process)).toEqual([]);
    rmSync(stage.context.files.state, { recursive: true });
  });

  return stage;
}

async function launch(): Promise<Browser> {
  return chromium.launch({
    executablePath: process.env.HOLDFAST_CHROMIUM ?? '/usr/bin/chromium',
    // For root there is none, and containers give little shared memory.
    args: [...(process.getuid?.() === 0 ? ['--no-sandbox'] : []), '--disable-dev-shm-usage'],
  });
}

async function open(browser: Browser, url: string, options: PageOptions = {}): Promise<Watched> {
  const { at, expected, before, ...others } = options;
  const context = await browser.newContext({
    viewport: DESKTOP,
    colorScheme: 'light',
    locale: 'en-GB',
    timezoneId: 'Europe/Berlin',
    ...others,
  });
  context.setDefaultTimeout(DEADLINE_MS);
  const page = await context.newPage();
  const address = new URL(at ?? '/', url);
  const watched: Watched = { page, said: [], wrong: [] };
  page.on('console', (message) => onConsole(message, watched, expected));
  page.on('pageerror', (error) => watched.wrong.push(`exception: ${error.stack ?? error}`));
  page.on('request', (request) => {
    const { protocol, origin } = new URL(request.url());
    if (protocol === 'data:' || protocol === 'blob:' || origin === address.origin) return;
    watched.wrong.push(`request to another origin: ${request.url()}`);
  });
  await before?.(page);
  await page.goto(address.href);
  return watched;
}

function onConsole(message: ConsoleMessage, { said, wrong }: Watched, expected?: RegExp): void {
  const line = `${message.type()}: ${message.text()} (${message.location().url})`;
  said.push(line);
  if (message.type() !== 'error' || expected?.test(message.text())) return;
  wrong.push(line);
}

/** A picture of the whole page in test-output/browser/. */
export async function picture(name: string, page: Page): Promise<void> {
  mkdirSync(FOLDER, { recursive: true });
  await page.screenshot({ path: join(FOLDER, `${name}.png`), fullPage: true });
}

async function keep(name: string, { page, said, wrong }: Watched): Promise<void> {
  mkdirSync(FOLDER, { recursive: true });
  const lines = [`at ${page.url()}`, ...said, ...wrong.map((line) => `WRONG ${line}`)];
  writeFileSync(join(FOLDER, `${name}.log`), `${lines.join('\n')}\n`);
  writeFileSync(join(FOLDER, `${name}.html`), await page.content());
  await picture(name, page);
}

function slug(name: string): string {
  return name
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .slice(0, 80);
}
