/**
 * A file port in memory that knows what a power loss takes: content that was not synced and names
 * whose directory was not synced. For tests of what the queue does at a crash.
 *
 * The model: a file has synced and unsynced content; a directory has synced names and a list of
 * unsynced changes, of which any may survive without the others. Of unsynced appended bytes some
 * first part survives, its last bytes possibly as garbage. A cut may be undone. A rename within a directory is one
 * change, one across directories is two. A full disk (`roomBytes`) counts bytes, and no names: a
 * write that doesn't fit gets there in part, and nothing new can be made without any room.
 */
import {
  type FileHandle,
  type FilePort,
  NoSpaceError,
} from '#collector/producer/queue/file-port.ts';

interface File {
  content: Buffer;
  synced: Buffer;
  /** What it was before an unsynced cut, which may not last. */
  uncut?: Buffer | undefined;
}

type Change = ReadonlyArray<readonly [name: string, file: File | undefined]>;

interface Directory {
  names: Map<string, File>;
  synced: Map<string, File>;
  changes: Change[];
}

interface Opened {
  readonly file: File;
  readonly path: string;
  /** Where the next write goes; at the end, when left out. */
  at: number | undefined;
}

/** A number from 0 to `max`, both included. */
export type Choose = (max: number) => number;

export interface PortCall {
  readonly operation: keyof FilePort;
  readonly path: string;
  readonly bytes: number;
  /** Where a read begins; 0 for all else. */
  readonly position: number;
}

export class ModelledFiles implements FilePort {
  readonly calls: PortCall[] = [];
  /** Called before each operation; what it throws, the operation throws. */
  before: (call: PortCall, index: number) => void = () => {};
  /** What more fits on the disk; what is cut off or removed is given back. */
  roomBytes = Number.POSITIVE_INFINITY;
  readonly #directories = new Map<string, Directory>();
  readonly #handles = new Map<FileHandle, Opened>();
  #nextHandle = 3;

  constructor() {
    this.#directories.set('', { names: new Map(), synced: new Map(), changes: [] });
  }

  list(directory: string): string[] {
    this.#called('list', directory);
    return [...(this.#directories.get(directory)?.names.keys() ?? [])];
  }

  size(path: string): number | undefined {
    this.#called('size', path);
    return this.#find(path)?.content.length;
  }

  makeDirectory(path: string): void {
    this.#called('makeDirectory', path);
    if (this.#directories.has(path)) return;
    this.#directories.set(path, { names: new Map(), synced: new Map(), changes: [] });
  }

  create(path: string): FileHandle {
    this.#called('create', path);
    if (this.#find(path) !== undefined) throw failure('EEXIST', path);
    if (this.roomBytes <= 0) throw noSpace(path);
    const file = { content: Buffer.alloc(0), synced: Buffer.alloc(0) };
    this.#change(path, file);
    return this.#handle(file, path);
  }

  overwrite(path: string): FileHandle {
    this.#called('overwrite', path);
    return this.#handle(this.#need(path), path, 0);
  }

  open(path: string): FileHandle {
    this.#called('open', path);
    return this.#handle(this.#need(path), path);
  }

  write(handle: FileHandle, bytes: Uint8Array): void {
    const opened = this.#opened(handle);
    const { file, path } = opened;
    this.#called('write', path, bytes.length);
    const at = opened.at ?? file.content.length;
    const free = file.content.length - at + Math.max(0, this.roomBytes);
    const written = bytes.subarray(0, Math.min(bytes.length, free));
    const before = file.content;
    const end = at + written.length;
    file.content = Buffer.concat([before.subarray(0, at), written, before.subarray(end)]);
    this.roomBytes -= file.content.length - before.length;
    if (opened.at !== undefined) opened.at = end;
    if (written.length < bytes.length) throw noSpace(path);
  }

  read(handle: FileHandle, target: Uint8Array, position: number): number {
    const { file, path } = this.#opened(handle);
    this.#called('read', path, target.length, position);
    return file.content.copy(target, 0, position);
  }

  sync(handle: FileHandle): void {
    const { file, path } = this.#opened(handle);
    this.#called('sync', path);
    file.synced = file.content;
    file.uncut = undefined;
  }

  close(handle: FileHandle): void {
    this.#called('close', this.#opened(handle).path);
    this.#handles.delete(handle);
  }

  truncate(path: string, bytes: number): void {
    this.#called('truncate', path, bytes);
    const file = this.#need(path);
    this.roomBytes += file.content.length - bytes;
    file.uncut ??= file.content;
    file.content = file.content.subarray(0, bytes);
  }

  rename(from: string, to: string): void {
    this.#called('rename', `${from} -> ${to}`);
    const file = this.#need(from);
    const [source, oldName] = this.#split(from);
    const [target, newName] = this.#split(to);
    this.roomBytes += this.#find(to)?.content.length ?? 0;
    if (source === target) {
      this.#apply(source, [
        [oldName, undefined],
        [newName, file],
      ]);
    } else {
      this.#apply(target, [[newName, file]]);
      this.#apply(source, [[oldName, undefined]]);
    }
  }

  unlink(path: string): void {
    this.#called('unlink', path);
    this.roomBytes += this.#need(path).content.length;
    this.#change(path, undefined);
  }

  syncDirectory(path: string): void {
    this.#called('syncDirectory', path);
    const directory = this.#directories.get(path);
    if (directory === undefined) throw failure('ENOENT', path);
    directory.synced = new Map(directory.names);
    directory.changes = [];
  }

  /** How many handles are open. */
  get openHandles(): number {
    return this.#handles.size;
  }

  /** The file system after a power loss; `choose` decides what of the unsynced survives. */
  afterPowerLoss(choose: Choose): ModelledFiles {
    const after = new ModelledFiles();
    const survivors = new Map<File, File>();
    for (const [path, directory] of this.#directories) {
      const names = new Map(directory.synced);
      for (const change of directory.changes) {
        if (choose(1) === 1) applyTo(names, change);
      }
      const copies = new Map<string, File>();
      for (const [name, file] of names) {
        const copy = survivors.get(file) ?? survivor(file, choose);
        survivors.set(file, copy);
        copies.set(name, copy);
      }
      after.#directories.set(path, { names: copies, synced: new Map(copies), changes: [] });
    }
    return after;
  }

  /** The file system as another process finds it when this one was killed. */
  afterKill(): ModelledFiles {
    const after = new ModelledFiles();
    const copies = new Map<File, File>();
    const copy = (file: File): File => {
      const made = copies.get(file) ?? { ...file };
      copies.set(file, made);
      return made;
    };
    for (const [path, { names, synced, changes }] of this.#directories) {
      after.#directories.set(path, {
        names: new Map([...names].map(([name, file]) => [name, copy(file)])),
        synced: new Map([...synced].map(([name, file]) => [name, copy(file)])),
        changes: changes.map((change) =>
          change.map(([name, file]) => [name, file && copy(file)] as const),
        ),
      });
    }
    return after;
  }

  /** A file's content, to look at or to damage: `change` gives the new content. */
  edit(path: string, change: (content: Buffer) => Buffer): void {
    const file = this.#need(path);
    file.content = change(Buffer.from(file.content));
    file.synced = file.content;
  }

  /** Puts a file in place, synced. */
  put(path: string, content: Buffer): void {
    this.#change(path, { content, synced: content });
    const directory = this.#directories.get(this.#split(path)[0]);
    if (directory !== undefined) directory.synced = new Map(directory.names);
  }

  content(path: string): Buffer {
    return Buffer.from(this.#need(path).content);
  }

  /** Names in the queue's directory that begin with `prefix`, sorted. */
  names(prefix: string, directory = ''): string[] {
    const names = [...(this.#directories.get(directory)?.names.keys() ?? [])];
    return names.filter((name) => name.startsWith(prefix)).sort();
  }

  #called(operation: keyof FilePort, path: string, bytes = 0, position = 0): void {
    const call = { operation, path, bytes, position };
    this.before(call, this.calls.length);
    this.calls.push(call);
  }

  #split(path: string): [directory: string, name: string] {
    const slash = path.lastIndexOf('/');
    return slash < 0 ? ['', path] : [path.slice(0, slash), path.slice(slash + 1)];
  }

  #find(path: string): File | undefined {
    const [directory, name] = this.#split(path);
    return this.#directories.get(directory)?.names.get(name);
  }

  #need(path: string): File {
    const file = this.#find(path);
    if (file === undefined) throw failure('ENOENT', path);
    return file;
  }

  #change(path: string, file: File | undefined): void {
    const [directory, name] = this.#split(path);
    this.#apply(directory, [[name, file]]);
  }

  #apply(path: string, change: Change): void {
    const directory = this.#directories.get(path);
    if (directory === undefined) throw failure('ENOENT', path);
    applyTo(directory.names, change);
    directory.changes.push(change);
  }

  #handle(file: File, path: string, at?: number): FileHandle {
    this.#nextHandle += 1;
    this.#handles.set(this.#nextHandle, { file, path, at });
    return this.#nextHandle;
  }

  #opened(handle: FileHandle): Opened {
    const opened = this.#handles.get(handle);
    if (opened === undefined) throw failure('EBADF', String(handle));
    return opened;
  }
}

function applyTo(names: Map<string, File>, change: Change): void {
  for (const [name, file] of change) {
    if (file === undefined) names.delete(name);
    else names.set(name, file);
  }
}

function survivor(file: File, choose: Choose): File {
  const { synced } = file;
  const content = file.uncut !== undefined && choose(1) === 1 ? file.uncut : file.content;
  const isAppended =
    content.length >= synced.length && content.subarray(0, synced.length).equals(synced);
  if (!isAppended) {
    const either = choose(1) === 0 ? synced : content;
    return { content: either, synced: either };
  }
  const kept = synced.length + choose(content.length - synced.length);
  const torn = Buffer.from(content.subarray(0, kept));
  const garbage = Math.min(choose(64), kept - synced.length);
  torn.fill(0xa5, kept - garbage);
  return { content: torn, synced: torn };
}

function failure(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code });
}

/** What the port throws where there is no room. */
export function noSpace(path: string): NoSpaceError {
  return new NoSpaceError(failure('ENOSPC', path));
}
