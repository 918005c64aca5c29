/** A file that a setting names can't be used. The message says which, why, and what to do. */
export class AccessFileError extends Error {
  override readonly name = 'AccessFileError';
  readonly code = 'access_file';
}
