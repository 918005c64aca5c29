/**
 * The log: one JSON object a line on standard output, with `time`, `level`, `service`, `event` and
 * `msg`. Written synchronously, so that the last lines before a SIGKILL are there.
 *
 * Not here: what is worth a line (`event-log.ts`).
 */
import { destination, type Logger, pino, stdTimeFunctions } from 'pino';

export type { Logger };

export function createLogger(level: string): Logger {
  return pino(
    {
      level,
      base: { service: 'holdfast-collector' },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination({ fd: process.stdout.fd, sync: true }),
  );
}
