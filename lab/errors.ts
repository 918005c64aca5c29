/**
 * The lab's failures: one class, with a stable code, the exit code it ends with, and the lines that
 * tell a person what to do. Nothing here prints or exits; main.ts does both.
 * A failure that is our own mistake is no LabError: it is an assertion and keeps its stack trace.
 */
/** Exit codes of ./holdfast, as its help states them. */
export const EXIT = {
  held: 0,
  failed: 1,
  usage: 2,
  inconclusive: 3,
  interrupted: 130,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export type LabErrorCode =
  | 'bad_configuration'
  | 'command_failed'
  | 'compose_missing'
  | 'disk_full'
  | 'engine_denied'
  | 'engine_missing'
  | 'engine_silent'
  | 'folder_unusable'
  | 'ground_busy'
  | 'ground_failed'
  | 'image_unavailable'
  | 'install_failed'
  | 'install_refused'
  | 'interrupted'
  | 'lab_busy'
  | 'lab_missing'
  | 'link_failed'
  | 'link_unsecured'
  | 'no_queue'
  | 'no_service'
  | 'no_store'
  | 'path_unproven'
  | 'port_taken';

/**
 * A failure that its reader can act on.
 * `details` says more about what happened (a log's last lines); `next` holds what to do, commands
 * ready to be typed.
 */
export class LabError extends Error {
  override readonly name = 'LabError';
  readonly code: LabErrorCode;
  readonly exitCode: ExitCode;
  readonly details: readonly string[];
  readonly next: readonly string[];

  constructor(options: {
    code: LabErrorCode;
    message: string;
    exitCode?: ExitCode;
    details?: readonly string[];
    next?: readonly string[];
    cause?: unknown;
  }) {
    super(options.message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = options.code;
    this.exitCode = options.exitCode ?? EXIT.failed;
    this.details = options.details ?? [];
    this.next = options.next ?? [];
  }
}

/** What a command ends with when Ctrl-C or a signal stopped it. */
export function interrupted(): LabError {
  return new LabError({
    code: 'interrupted',
    message: 'interrupted',
    exitCode: EXIT.interrupted,
    next: ['Nothing half-made was left: run the same command again to go on.'],
  });
}

/** The lines that a person reads: what happened, the details indented, then what to do. */
export function explain(error: LabError): string[] {
  return [
    `✗ ${error.message}`,
    ...error.details.map((line) => `    ${line}`),
    ...error.next.map((line) => `  → ${line}`),
  ];
}
