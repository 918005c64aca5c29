/** What is known of the link, in the API's words. Pure. */
import type { z } from 'zod';
import { formatTime } from '#protocol/identity.ts';
import type { LinkFault, LinkReport } from './link-history.ts';
import type { fault, linkResponse } from './schemas.ts';

export function linkAnswer({
  state,
  details,
  since,
  error,
}: LinkReport): z.infer<typeof linkResponse> {
  return { state, details: [...details], since: formatTime(since), error };
}

export function faultAnswer({ from, to, state, details }: LinkFault): z.infer<typeof fault> {
  return {
    from: formatTime(from),
    to: to === null ? null : formatTime(to),
    state,
    details: [...details],
  };
}
