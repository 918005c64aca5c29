/** A process that follows a store until it is told by SIGKILL; tells of each step by one byte. */
import { writeSync } from 'node:fs';
import { TestFollower } from './rig.ts';

const following = new TestFollower(process.argv[2] ?? '');
while (following.follower.step() !== 'idle') writeSync(1, '.');
following.close();
