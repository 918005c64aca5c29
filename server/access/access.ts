/**
 * Who may talk to this server, wired: the keys of the collectors from the shared token or from the
 * tokens file, TLS from its files, and what is told of those who failed to come in. Says what was
 * reloaded and what was refused; how files are watched is `watched.ts`.
 */
import type { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Logger } from 'pino';
import { Gauge, type Registry } from 'prom-client';
import { Attempts } from './attempts.ts';
import { AccessFileError } from './file-error.ts';
import { collectorKeys, type Keys, sharedKey } from './keys.ts';
import { checkTlsFiles, TlsDoor, type TlsFiles } from './tls.ts';
import { TokensFile, TokensFileError, unreadableTokens } from './tokens-file.ts';
import { Watched } from './watched.ts';

export interface AccessSettings {
  /** For all collectors; counts only where no tokens file is given. */
  readonly token: Buffer | undefined;
  readonly tokensFile: string | undefined;
  readonly tlsCertFile: string | undefined;
  readonly tlsKeyFile: string | undefined;
  readonly tlsClientCaFile: string | undefined;
  /** For a TLS handshake: as long as for the HELLO behind it, which has the same slow paths. */
  readonly helloMs: number;
}

export interface AccessOptions {
  readonly settings: AccessSettings;
  readonly log: Logger;
  readonly registry: Registry;
  readonly after: (ms: number, call: () => void) => () => void;
}

export class Access {
  readonly keys: Keys;
  readonly attempts: Attempts;
  /** Where collectors speak TLS. */
  readonly tls: TlsDoor | undefined;
  readonly #options: AccessOptions;
  readonly #watched: Pick<Watched<unknown>, 'reload' | 'close'>[] = [];
  readonly #reloaded: Gauge<'what'>;
  /** Nobody is connected until somebody wants to know. */
  #onKeysReplaced: () => void = () => {};

  /** Throws an error with a message for people when a file can't be used. */
  constructor(options: AccessOptions) {
    const { log, registry, after, settings } = options;
    this.#options = options;
    this.attempts = new Attempts({ log, registry, after });
    this.#reloaded = new Gauge({
      name: 'holdfast_access_last_reload_successful',
      help: 'Whether what the files say is in force; 0: a newer version was refused, the log says why.',
      labelNames: ['what'],
      registers: [registry],
    });
    this.keys = this.#openKeys(settings);
    this.tls = this.#openTls(settings);
  }

  /** True where `reload` has something to do. */
  get reloadable(): boolean {
    return this.#watched.length > 0;
  }

  /** Has this called, from now on, whenever other keys count. */
  whenKeysReplaced(call: () => void): void {
    this.#onKeysReplaced = call;
  }

  /** Reads all files anew. */
  reload(): void {
    for (const watched of this.#watched) watched.reload();
  }

  close(): void {
    for (const watched of this.#watched) watched.close();
    this.attempts.close();
  }

  #openKeys({ token, tokensFile: path }: AccessSettings): Keys {
    const { log } = this.#options;
    if (path === undefined) {
      if (token === undefined) throw new Error('neither a token nor a tokens file');
      return sharedKey(token);
    }
    if (token !== undefined) {
      const text = `HOLDFAST_TOKEN counts for nobody, for HOLDFAST_TOKENS_FILE is given: who is not in ${path} does not come in`;
      log.warn({ event: 'shared_token_ignored' }, text);
    }
    const inForce = (file: TokensFile): Keys => {
      const keys = file.keysByCollector();
      log.info({ event: 'tokens_loaded', path, collectors: keys.size }, allowed(keys.size));
      return collectorKeys(keys);
    };
    const onReplaced = (file: TokensFile): void => {
      keys = inForce(file);
      this.#onKeysReplaced();
    };
    let keys = inForce(this.#watch('tokens', [path], () => readTokens(path), onReplaced));
    return {
      candidates: (collector) => keys.candidates(collector),
      knows: (collector) => keys.knows(collector),
    };
  }

  #openTls(settings: AccessSettings): TlsDoor | undefined {
    const { tlsCertFile, tlsKeyFile, tlsClientCaFile, helloMs } = settings;
    if (tlsCertFile === undefined || tlsKeyFile === undefined) return undefined;
    const expiry = new Gauge({
      name: 'holdfast_access_certificate_expiry_timestamp_seconds',
      help: 'When the certificate of the port for collectors expires, in seconds since 1970 UTC.',
      registers: [this.#options.registry],
    });
    const paths = [tlsCertFile, tlsKeyFile, ...(tlsClientCaFile ? [tlsClientCaFile] : [])];
    const load = (): TlsFiles => {
      const files = {
        cert: readText(tlsCertFile, 'HOLDFAST_TLS_CERT_FILE'),
        key: readText(tlsKeyFile, 'HOLDFAST_TLS_KEY_FILE'),
        clientCa: tlsClientCaFile && readText(tlsClientCaFile, 'HOLDFAST_TLS_CLIENT_CA_FILE'),
      };
      const { validFromDate, validToDate } = this.#checked(files, paths);
      expiry.set(validToDate.getTime() / 1_000);
      this.#tellCertificate(paths, { validFromDate, validToDate });
      return files;
    };
    const files = this.#watch('tls', paths, load, (replaced) => door.replace(replaced));
    const { attempts } = this;
    const door = new TlsDoor({ files, attempts, handshakeMs: helloMs });
    return door;
  }

  #checked(files: TlsFiles, paths: readonly string[]): X509Certificate {
    try {
      return checkTlsFiles(files);
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new AccessFileError(`${paths.join(', ')}: ${why}`, { cause });
    }
  }

  /** One that doesn't count is used all the same: collectors say what is wrong with it. */
  #tellCertificate(
    paths: readonly string[],
    { validFromDate, validToDate }: Pick<X509Certificate, 'validFromDate' | 'validToDate'>,
  ): void {
    const { log } = this.#options;
    const now = Date.now();
    const about = { event: 'certificate_loaded', paths, valid_to: validToDate.toISOString() };
    if (validFromDate.getTime() > now) {
      log.error(about, `the certificate is not valid before ${validFromDate.toISOString()}`);
    } else if (validToDate.getTime() <= now) {
      log.error(about, 'the certificate has expired: no collector will come in by it');
    } else {
      log.info(about, `collectors speak TLS; the certificate is valid to ${about.valid_to}`);
    }
  }

  #watch<T>(
    what: string,
    paths: readonly string[],
    load: () => T,
    onReplaced: (value: T) => void,
  ): T {
    this.#reloaded.set({ what }, 1);
    const watched = new Watched({
      paths,
      load,
      onReplaced: (value) => {
        this.#reloaded.set({ what }, 1);
        onReplaced(value);
      },
      onRefused: (error) => {
        this.#reloaded.set({ what }, 0);
        this.#options.log.error(
          { event: 'reload_refused', what, paths },
          `${error.message}\nWhat was in force before stays in force until that is mended`,
        );
      },
    });
    this.#watched.push(watched);
    return watched.value;
  }
}

function allowed(collectors: number): string {
  if (collectors === 0) return 'the tokens file names nobody: no collector may come in';
  return collectors === 1 ? 'one collector may come in' : `${collectors} collectors may come in`;
}

/** Throws AccessFileError. */
function readTokens(path: string): TokensFile {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    const message = `${path} (HOLDFAST_TOKENS_FILE) ${unreadableTokens(cause)}`;
    throw new AccessFileError(message, { cause });
  }
  try {
    return TokensFile.parse(text);
  } catch (error) {
    if (!(error instanceof TokensFileError)) throw error;
    const message = `${path} (HOLDFAST_TOKENS_FILE) can't be used:\n  ${error.message}`;
    throw new AccessFileError(message, { cause: error });
  }
}

function readText(path: string, setting: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new AccessFileError(`${path} (${setting}) can't be read: ${why}`, { cause });
  }
}
