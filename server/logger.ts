/**
 * The log: one JSON object a line on standard output. Written synchronously: what was logged before a
 * kill has to be there after it.
 */
import pino, { type Logger } from 'pino';

export function createLogger(level: string): Logger {
  return pino(
    {
      level,
      base: { service: 'holdfast-server' },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    pino.destination({ fd: process.stdout.fd, sync: true }),
  );
}
