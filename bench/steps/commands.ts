/** What a benchmark and a process whose memory it looks at say to each other; `../child.ts` carries it. */

/** A thread that does nothing; the Producer's code; a queue, opened, with no server to be found. */
export type StepCommand =
  | { readonly type: 'thread' }
  | { readonly type: 'library' }
  | {
      readonly type: 'queue';
      readonly path: string;
      readonly server: string;
      readonly token: string;
    }
  | { readonly type: 'close' };
