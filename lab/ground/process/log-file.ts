/**
 * A program's log: each line with the time at which it came, in a file that is set aside when it is
 * full, with two older ones kept. A disk that takes no more costs lines, never the program.
 */
import {
  closeSync,
  fstatSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  statSync,
  writeSync,
} from 'node:fs';
import type { Readable } from 'node:stream';

/** As Compose has it: three files of five megabytes. */
const FILE_BYTES_MAX = 5_000_000;
const OLDER_FILES = 2;
/** A line that is longer goes on in the next one. */
const LINE_CHARS_MAX = 65_536;

export class LogFile {
  readonly #path: string;
  readonly #fileBytesMax: number;
  #descriptor: number;
  #bytes: number;

  constructor(path: string, fileBytesMax = FILE_BYTES_MAX) {
    this.#path = path;
    this.#fileBytesMax = fileBytesMax;
    this.#descriptor = openSync(path, 'a', 0o600);
    this.#bytes = fstatSync(this.#descriptor).size;
  }

  /** Everything that a stream gives, line by line. */
  take(stream: Readable): void {
    let rest = '';
    stream.setEncoding('utf8');
    stream.on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) this.write(line);
      if (rest.length < LINE_CHARS_MAX) return;
      this.write(rest);
      rest = '';
    });
    stream.on('end', () => rest !== '' && this.write(rest));
    // A pipe that breaks ends with its program, of which the supervisor tells.
    stream.on('error', () => undefined);
  }

  write(line: string): void {
    const text = `${new Date().toISOString()} ${line}\n`;
    try {
      if (this.#bytes + text.length > this.#fileBytesMax) this.#setAside();
      this.#bytes += writeSync(this.#descriptor, text);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    }
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  #setAside(): void {
    closeSync(this.#descriptor);
    for (const [older, newer] of olderPaths(this.#path)) rename(newer, older);
    this.#descriptor = openSync(this.#path, 'a', 0o600);
    this.#bytes = 0;
  }
}

/** A line and when it came. */
export interface LogLine {
  readonly at: Date;
  readonly text: string;
}

/** What is kept of a log, the oldest line first; nothing when there is none. */
export function readLog(path: string): LogLine[] {
  const paths = [...olderPaths(path).map(([older]) => older), path];
  return paths.flatMap((file) => linesOf(readText(file)));
}

function linesOf(text: string): LogLine[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const end = line.indexOf(' ');
      return { at: new Date(line.slice(0, end)), text: line.slice(end + 1) };
    });
}

/** What is added to a log from now on; lines that come in just as it is set aside may be missed. */
export class LogFollower {
  readonly #path: string;
  #inode: number | undefined;
  #read = 0;

  constructor(path: string) {
    this.#path = path;
    const stat = statSync(path, { throwIfNoEntry: false });
    this.#inode = stat?.ino;
    this.#read = stat?.size ?? 0;
  }

  /** Whole lines since the last call. */
  read(): LogLine[] {
    const stat = statSync(this.#path, { throwIfNoEntry: false });
    if (stat === undefined) return [];
    if (stat.ino !== this.#inode) [this.#inode, this.#read] = [stat.ino, 0];
    const bytes = Buffer.alloc(Math.max(0, stat.size - this.#read));
    const descriptor = openSync(this.#path, 'r');
    try {
      readSync(descriptor, bytes, 0, bytes.length, this.#read);
    } finally {
      closeSync(descriptor);
    }
    const whole = bytes.lastIndexOf('\n') + 1;
    this.#read += whole;
    return linesOf(bytes.toString('utf8', 0, whole));
  }
}

/** Pairs of an older file and the one that takes its place, the oldest first. */
function olderPaths(path: string): [older: string, newer: string][] {
  const names = [
    path,
    ...Array.from({ length: OLDER_FILES }, (_, index) => `${path}.${index + 1}`),
  ];
  return names
    .slice(1)
    .map((older, index): [string, string] => [older, names[index] ?? path])
    .reverse();
}

function rename(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}
