/**
 * `./holdfast server token …`: the lines of the tokens file. A token is made here, printed once and
 * kept nowhere; the file gets the key that is derived from it. A server that runs takes the change
 * up by itself.
 */
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import type { Command } from 'commander';
import { macKeyOf } from '#protocol/handshake.ts';
import { COLLECTOR_ID_RULE, isCollectorId } from '#protocol/identity.ts';
import { TOKEN_BYTES_MIN } from '#protocol/limits.ts';
import { KEYS_PER_COLLECTOR_MAX } from '#server/access/keys.ts';
import {
  fingerprintOf,
  type TokenLine,
  TokensFile,
  TokensFileError,
  unreadableTokens,
} from '#server/access/tokens-file.ts';
import { giveToOwnerOf, syncPath } from '#server/files.ts';
import { type CommandContext, CommandError, readSettingsOf } from './command.ts';

const TOKEN_BYTES = 32;

const EXAMPLES = `
HOLDFAST_TOKENS_FILE names the file. A server that runs with it takes every change up within two seconds.

Examples:
  Let a collector in; its token goes into a file that its HOLDFAST_TOKEN_FILE names:
    ./holdfast server token add edge-1 > edge-1.token
  Give it another token without a break: add one, bring it to the collector, start that anew, then
  remove the old one by the fingerprint that list shows:
    ./holdfast server token add edge-1 > edge-1.new
    ./holdfast server token list
    ./holdfast server token remove edge-1 --fingerprint 5f2a…
  Go from a shared token to one for each collector: list all with the shared one first:
    ./holdfast server token add edge-1 --token-file ./token
  Shut one out at once:
    ./holdfast server token remove edge-1
`;

export function addTokenCommands(program: Command, context: CommandContext): void {
  const token = program
    .command('token')
    .description('tokens of single collectors: the lines of the tokens file')
    .addHelpText('after', EXAMPLES);
  token
    .command('add')
    .description('make a token, print it, and add its key to the file')
    .argument('<collector>', 'id of the collector')
    .option('--token-file <path>', 'take the token that is in this file instead of making one')
    .action((collector: string, options: { tokenFile?: string }) =>
      add(pathOf(context), collector, options.tokenFile),
    );
  token
    .command('list')
    .description('who may come in, with a fingerprint of each key; tokens can not be shown again')
    .action(() => list(pathOf(context)));
  token
    .command('remove')
    .description('take tokens of a collector out; its connection ends')
    .argument('<collector>', 'id of the collector')
    .option('--fingerprint <digits>', 'only the token with this fingerprint, or its beginning')
    .action((collector: string, options: { fingerprint?: string }) =>
      remove(pathOf(context), collector, options.fingerprint),
    );
}

function pathOf(context: CommandContext): string {
  const { tokensFile } = readSettingsOf(context, 'tokensFile');
  if (tokensFile !== undefined) return tokensFile;
  throw new CommandError('usage', 'HOLDFAST_TOKENS_FILE must name the tokens file; it is not set');
}

function add(path: string, collector: string, tokenPath: string | undefined): void {
  if (!isCollectorId(collector)) {
    const text = `a collector id is ${COLLECTOR_ID_RULE}; got ${JSON.stringify(collector)}`;
    throw new CommandError('usage', text);
  }
  const token = tokenPath === undefined ? newToken() : readToken(tokenPath);
  const line: TokenLine = { collector, key: macKeyOf(Buffer.from(token)) };
  change(path, { mayBegin: true }, (file) => {
    const known = file.entries.filter((entry) => entry.collector === collector);
    if (known.some(({ key }) => key.equals(line.key))) {
      throw new CommandError('failed', `${collector} has this token already; nothing was changed`);
    }
    if (known.length >= KEYS_PER_COLLECTOR_MAX) {
      throw new CommandError(
        'failed',
        `${collector} has ${known.length} tokens, and no more count at a time; nothing was changed. Remove one first: ./holdfast server token remove ${collector} --fingerprint ${fingerprintOf(known[0]?.key ?? line.key)}`,
      );
    }
    return file.with(line);
  });
  const fingerprint = fingerprintOf(line.key);
  if (tokenPath === undefined) {
    console.log(token);
    console.error(
      `${collector} may come in with this token (fingerprint ${fingerprint}). It is shown this once; the file ${path} has only a key made from it`,
    );
  } else {
    console.error(`${collector} may come in with the token of ${tokenPath} (${fingerprint})`);
  }
}

function list(path: string): void {
  const { entries } = read(path);
  if (entries.length === 0) console.error(`${path} names no collector`);
  const width = Math.max(0, ...entries.map(({ collector }) => collector.length));
  for (const { collector, key } of entries) {
    console.log(`${collector.padEnd(width)}  ${fingerprintOf(key)}`);
  }
}

function remove(path: string, collector: string, fingerprint: string | undefined): void {
  const unwanted = (line: TokenLine): boolean =>
    line.collector === collector && fingerprintOf(line.key).startsWith(fingerprint ?? '');
  let removed = 0;
  let left = 0;
  change(path, { mayBegin: false }, (file) => {
    removed = file.entries.filter(unwanted).length;
    left = file.entries.filter((line) => line.collector === collector).length - removed;
    const which = fingerprint === undefined ? 'a token' : `a token ${fingerprint}`;
    if (removed === 0) {
      throw new CommandError('failed', `${collector} has not ${which}; nothing was changed`);
    }
    if (fingerprint !== undefined && removed > 1) {
      throw new CommandError('failed', `${fingerprint} means both tokens of ${collector}`);
    }
    return file.without(unwanted);
  });
  console.error(
    left === 0
      ? `${collector} does not come in any more`
      : `${collector} comes in with its other token only`,
  );
}

function newToken(): string {
  return randomBytes(TOKEN_BYTES).toString('base64url');
}

/** As the collector reads it: line ends at the end are not part of it. */
function readToken(path: string): string {
  let text: string;
  try {
    text = readFileSync(path, 'utf8').replace(/[\r\n]+$/, '');
  } catch (cause) {
    throw new CommandError('usage', `the token can't be read: ${(cause as Error).message}`);
  }
  if (Buffer.byteLength(text) >= TOKEN_BYTES_MIN) return text;
  throw new CommandError('usage', `${path} must hold a token of ${TOKEN_BYTES_MIN} bytes or more`);
}

function read(path: string): TokensFile {
  try {
    return TokensFile.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    if (error instanceof TokensFileError) {
      throw new CommandError('usage', `${path} can't be used:\n  ${error.message}`);
    }
    throw new CommandError('usage', `${path} ${unreadableTokens(error)}`);
  }
}

/**
 * Writes the file beside its place and renames it, so that a server never sees half of it. The name
 * beside it keeps two commands from changing it at a time.
 */
function change(
  path: string,
  { mayBegin }: { readonly mayBegin: boolean },
  make: (file: TokensFile) => TokensFile,
): void {
  const beside = `${path}.new`;
  const descriptor = openNew(beside);
  try {
    const owner = statSync(path, { throwIfNoEntry: false });
    const file = owner === undefined && mayBegin ? new TokensFile() : read(path);
    writeSync(descriptor, make(file).format());
    fsyncSync(descriptor);
    if (owner !== undefined) {
      chmodSync(beside, owner.mode & 0o777);
      // Root may be changing a file that the server's user has to read.
      giveToOwnerOf(path, beside);
    }
    renameSync(beside, path);
    syncPath(dirname(path));
  } catch (error) {
    rmSync(beside, { force: true });
    throw error;
  } finally {
    closeSync(descriptor);
  }
}

function openNew(path: string): number {
  try {
    return openSync(path, 'wx', 0o600);
  } catch (error) {
    const taken = error instanceof Error && 'code' in error && error.code === 'EEXIST';
    throw new CommandError(
      taken ? 'failed' : 'usage',
      taken
        ? `${path} is there: another command is changing the tokens file, or one was interrupted. If none runs: rm ${path}`
        : `the tokens file can't be written: ${(error as Error).message}`,
    );
  }
}
