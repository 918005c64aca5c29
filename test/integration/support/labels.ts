/**
 * The label of every container that a test starts. Its value is the checkout's, which set-up gives:
 * what a killed run leaves is swept by it, and nothing of another checkout's run.
 */
export const LABELS = { 'dev.holdfast.test': process.env.HOLDFAST_CHECKOUT ?? 'unknown' };
