/**
 * TLS of the link as settings: the variables, what they must be to each other, and the files that
 * they name. The files are read for each dial, so that a renewed certificate counts without a new
 * start; one that can't be read is a failure of the link, for samples are taken all the same.
 */
import {
  choiceSetting,
  optionalTextSetting,
  type SettingProblem,
  type Settings,
  SettingsError,
} from '#protocol/settings.ts';
import type { LinkTls } from './producer/link.ts';

export const TLS_SETTINGS = {
  tls: choiceSetting({
    name: 'HOLDFAST_TLS',
    text: 'on: the link is TLS 1.3, and nothing is sent to a server whose certificate is not right.',
    default: 'off',
    choices: ['on', 'off'],
  }),
  tlsCaFile: optionalTextSetting({
    name: 'HOLDFAST_TLS_CA_FILE',
    text: "What the server's certificate must lead to, in PEM. Without it the CAs that Node knows count.",
    rule: 'a path',
    pattern: /./,
  }),
  tlsServername: optionalTextSetting({
    name: 'HOLDFAST_TLS_SERVERNAME',
    text: "Name that the server's certificate must have. Without it the host of HOLDFAST_SERVER.",
    rule: 'a host name',
    pattern: /^(?=.*[A-Za-z])[A-Za-z0-9.-]{1,253}$/,
  }),
  tlsCertFile: optionalTextSetting({
    name: 'HOLDFAST_TLS_CERT_FILE',
    text: 'Our own certificate, for a server that wants one, in PEM.',
    rule: 'a path',
    pattern: /./,
  }),
  tlsKeyFile: optionalTextSetting({
    name: 'HOLDFAST_TLS_KEY_FILE',
    text: 'Private key of that certificate, in PEM, without a passphrase.',
    rule: 'a path',
    pattern: /./,
  }),
} as const;

export type TlsSettings = Settings<typeof TLS_SETTINGS>;

/**
 * What the producer asks for each dial; undefined where TLS is off. Throws SettingsError where the
 * settings contradict each other: nobody is to believe that a link is secured which isn't.
 */
export function tlsOf(
  settings: TlsSettings,
  readFile: (path: string) => string,
): (() => LinkTls) | undefined {
  const problems = [...contradictions(settings)];
  if (problems.length > 0) throw new SettingsError(problems);
  if (settings.tls === 'off') return undefined;
  const { tlsCaFile, tlsServername: servername, tlsCertFile, tlsKeyFile } = settings;
  const textOf = (path: string | undefined) => (path === undefined ? undefined : readFile(path));
  return () => ({
    ca: textOf(tlsCaFile),
    servername,
    cert: textOf(tlsCertFile),
    key: textOf(tlsKeyFile),
  });
}

function* contradictions(settings: TlsSettings): Generator<SettingProblem> {
  const { tls, tlsCaFile, tlsServername, tlsCertFile, tlsKeyFile } = settings;
  const given = [tlsCaFile, tlsServername, tlsCertFile, tlsKeyFile].some(Boolean);
  if (tls === 'off' && given) {
    const rule = 'on where another HOLDFAST_TLS variable is given';
    yield { name: TLS_SETTINGS.tls.name, rule, got: 'off' };
  }
  if ((tlsCertFile === undefined) !== (tlsKeyFile === undefined)) {
    const { name } = tlsCertFile === undefined ? TLS_SETTINGS.tlsCertFile : TLS_SETTINGS.tlsKeyFile;
    yield { name, rule: 'given too: a certificate and its key go together', got: 'nothing' };
  }
}
