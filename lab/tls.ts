/**
 * TLS on the lab's link: certificates for both ends in .lab/tls/, made when they are needed, and the
 * proof that what stands behind the link's entrance speaks TLS. Whether it is on is the setting TLS;
 * how the programs are told is docker-compose.yml.
 */
import { X509Certificate } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { type Identity, issue, makeAuthority, validFor } from '#lab/certificates.ts';
import { EXIT, LabError } from '#lab/errors.ts';
import { type LabFiles, PATHS } from '#lab/paths.ts';
import { ensureStateFolder, writeWhole } from '#lab/state.ts';

/** The name that the server's certificate has; the collector dials Toxiproxy, and knows better. */
export const SERVERNAME = 'server';

/** As the services see the files of their end. */
export const TLS_FILES = {
  cert: '/tls/cert.pem',
  key: '/tls/key.pem',
  ca: '/tls/ca.pem',
} as const;

const VALID_DAYS = 90;
/** Made anew before they are older than that. */
const LEFT_DAYS_MIN = 30;
const PROBE_TIMEOUT_MS = 5_000;

type End = 'server' | 'collector';

const folderOf = ({ tls }: LabFiles, end: End) => join(tls, end);

/** The folders that the services are given, empty or not: the engine would make them as root. */
export function ensureTlsFolders(files: LabFiles = PATHS): void {
  ensureStateFolder(files);
  for (const path of [files.tls, folderOf(files, 'server'), folderOf(files, 'collector')]) {
    mkdirSync(path, { recursive: true });
    // The containers' user is not ours. Who else is on this machine does not come past .lab/.
    chmodSync(path, 0o755);
  }
}

/**
 * Makes a CA and what it signs, where there is none yet or it runs out; true when it was made now.
 * The CA's key is kept nowhere: the next certificates have another.
 */
export function ensureCertificates(files: LabFiles = PATHS): boolean {
  ensureTlsFolders(files);
  if (areFresh(files)) return false;
  const validity = validFor(VALID_DAYS);
  const ca = makeAuthority('Holdfast lab', validity);
  const names = [SERVERNAME, '127.0.0.1', 'localhost'] as const;
  write(files, 'server', issue(ca, 'server', names, validity), ca.cert);
  write(files, 'collector', issue(ca, 'client', ['collector'], validity), ca.cert);
  return true;
}

/** How the link is secured, in words. @throws LabError `link_unsecured` */
export function probeTls(port: number, files: LabFiles = PATHS): Promise<string> {
  const read = (name: string) => readFileSync(join(folderOf(files, 'collector'), name));
  return new Promise((resolve, reject) => {
    const socket = connect({
      ...{ host: '127.0.0.1', port, servername: SERVERNAME, minVersion: 'TLSv1.3' },
      ...{ ca: read('ca.pem'), cert: read('cert.pem'), key: read('key.pem') },
    });
    const fail = (cause?: Error): void => {
      socket.destroy();
      reject(unsecured(cause?.message ?? 'no answer in time'));
    };
    socket.setTimeout(PROBE_TIMEOUT_MS, () => fail());
    socket.on('error', fail);
    // Not at `secureConnect`: only then has the server seen our certificate, and taken it.
    socket.once('data', () => {
      resolve(
        `${socket.getProtocol()}, ${socket.getCipher().standardName}, certificates at both ends`,
      );
      socket.destroy();
    });
  });
}

function unsecured(why: string): LabError {
  return new LabError({
    code: 'link_unsecured',
    exitCode: EXIT.failed,
    message: `the link does not answer by TLS: ${why}`,
    next: ['The logs of both ends: make logs', 'Without TLS: make up'],
  });
}

function areFresh(files: LabFiles): boolean {
  const until = Date.now() + LEFT_DAYS_MIN * 86_400_000;
  return (['server', 'collector'] as const).every((end) => {
    const path = join(folderOf(files, end), 'cert.pem');
    return (
      existsSync(path) && new X509Certificate(readFileSync(path)).validToDate.getTime() > until
    );
  });
}

/** The certificate last: it says whether all is there. */
function write(files: LabFiles, end: End, { cert, key }: Identity, ca: string): void {
  const texts = { 'ca.pem': ca, 'key.pem': key, 'cert.pem': cert };
  for (const [name, text] of Object.entries(texts)) {
    writeWhole(join(folderOf(files, end), name), text, 0o444);
  }
}
