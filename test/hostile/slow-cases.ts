/**
 * The cases of the catalogue that wait for one of the protocol's deadlines, up to a minute. They are
 * played all at once.
 */
import { EPOCH_A, framesOf } from '../unit/server/store-contract.ts';
import { bye, refused, type WireCase } from './case.ts';
import { Peer } from './peer.ts';
import { joined, messageOf } from './wire-cases.ts';

const TOO_LATE = refused('timeout', 'no HELLO within');
const SILENT = bye('timeout', 'no byte for');

/** One byte a second of this, for as long as it lasts. */
function drip(peer: Peer, bytes: Buffer): void {
  let at = 0;
  const timer = setInterval(() => {
    if (peer.isClosed || at >= bytes.length) return clearInterval(timer);
    peer.raw(bytes.subarray(at, at + 1));
    at += 1;
  }, 1_000);
}

export const SLOW_CASES: readonly WireCase[] = [
  {
    id: 'T01',
    name: 'nothing at all',
    expected: 'closed',
    end: TOO_LATE,
    within: 'the deadline for HELLO, 60 s',
    play: ({ server }) => Peer.greeted(server),
  },
  {
    id: 'T02',
    name: 'a right HELLO, a byte a second',
    expected: 'closed: the deadline is absolute, bytes do not move it',
    end: TOO_LATE,
    within: 'the deadline for HELLO, 60 s',
    play: async ({ server }, collector) => {
      const peer = await Peer.greeted(server);
      drip(peer, peer.wire.hello([], { collector }));
      return peer;
    },
  },
  {
    id: 'T06',
    name: 'a single line break',
    expected: 'closed: it may yet become a header',
    end: TOO_LATE,
    within: 'the deadline for HELLO, 60 s',
    play: async ({ server }) => {
      const peer = await Peer.greeted(server);
      peer.raw(Buffer.from('\n'));
      return peer;
    },
  },
  {
    id: 'T14',
    name: 'half of a message from a proven collector, then silence',
    expected: 'BYE{timeout}; nothing of the half is stored',
    end: SILENT,
    within: 'no byte in mid-message for 10 s',
    stored: 3,
    play: async (stage, collector) => {
      const peer = await joined(stage, collector);
      peer.send(messageOf(stage.vouch(collector, EPOCH_A, framesOf(EPOCH_A, 1, 3))));
      await peer.acked(3);
      peer.answersPings = false;
      peer.raw(peer.wire.bytesOf(messageOf(framesOf(EPOCH_A, 4, 9))).subarray(0, 40));
      return peer;
    },
  },
  {
    id: 'T02',
    name: 'a message from a proven collector, a byte a second for half a minute, then silence',
    expected:
      'borne as long as bytes come, for a thin link looks like that; it costs the memory of one message. Then BYE{timeout}',
    end: SILENT,
    within: 'half a minute of bytes, then none for 10 s',
    stored: 0,
    play: async (stage, collector) => {
      const peer = await joined(stage, collector);
      peer.answersPings = false;
      drip(peer, peer.wire.bytesOf(messageOf(framesOf(EPOCH_A, 4, 9))).subarray(0, 30));
      return peer;
    },
  },
  {
    id: 'T33',
    name: 'a proven collector that says nothing more',
    expected: 'BYE{timeout}',
    end: SILENT,
    within: 'no byte between messages for 5 s',
    stored: 0,
    play: async (stage, collector) => {
      const peer = await joined(stage, collector);
      peer.answersPings = false;
      return peer;
    },
  },
];
