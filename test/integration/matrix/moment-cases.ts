/**
 * The cases of the matrix that choose their moment on the link: within the handshake, within a
 * message, while a backlog drains, and with TLS around it. The moment is given by message and byte
 * where that can be told, and by the state of the drain where it can't.
 */
import { expect } from 'vitest';
import { lasting, type MatrixCase, midDrain, suffer, thin } from './cases.ts';
import { secured } from './tls-cases.ts';

/** What puts itself on the link or takes itself off costs a connection, and several faults follow in each. */
const HEALS_IN_TURN = { recover_ms_max: 5_000, drain_ms_max: 15_000 } as const;

/** So many frames of a backlog are left for a second fault, whatever has drained before it. */
const LEFT_MIN = 500;

export const MOMENT_CASES: readonly MatrixCase[] = [
  {
    name: '23-cut-in-handshake',
    what: 'connections that end within GREETING, HELLO and WELCOME leave nothing half-open behind',
    asks: { ...HEALS_IN_TURN, queued_min: 0 },
    method: (random) =>
      (['greeting', 'hello', 'welcome'] as const).map((message) =>
        suffer(
          'cut_at',
          // Each of them is longer.
          { message, bytes: Math.floor(20 * random()), by: 'fin', times: 3 },
          { name: `cut_in_${message}` },
        ),
      ),
    also: ({ exits }) => expect(exits).toEqual([]),
  },
  {
    name: '24-cut-in-frames-and-ack',
    what: 'connections that end within frames, and within an ack, while a backlog drains: half a message counts for nothing',
    asks: { ...HEALS_IN_TURN, queued_min: 1_000 },
    method: (random) => [
      thin(
        suffer('cut', {}, { until: lasting(8) }),
        midDrain(random),
        ...(['frames', 'ack'] as const).map((message) =>
          suffer(
            'cut_at',
            { message, nth: 2, bytes: 1 + Math.floor(30 * random()), times: 3 },
            { name: `cut_in_${message}` },
          ),
        ),
      ),
    ],
    also: ({ exits }) => expect(exits).toEqual([]),
  },
  {
    name: '25-gateway-lost-in-drain',
    what: 'while a backlog drains, what stands between is killed, and then its name is gone',
    asks: { ...HEALS_IN_TURN, queued_min: LEFT_MIN },
    method: (random) => [
      thin(
        suffer('cut', {}, { until: lasting(10, 1_500) }),
        midDrain(random),
        suffer('kill', { target: 'toxiproxy' }, { name: 'gateway_killed' }),
        midDrain(random),
        suffer('dns_gone', {}, { until: lasting(3, LEFT_MIN) }),
      ),
    ],
  },
  {
    name: '26-corrupt-in-drain',
    what: 'bits that flip, and messages that change places, while a backlog drains: none of it is stored',
    asks: HEALS_IN_TURN,
    method: (random) => [
      thin(
        suffer('cut', {}, { until: lasting(8) }),
        midDrain(random),
        suffer('corrupt', { how: 'flip' }, { name: 'flipped', until: { seconds: 3 } }),
        suffer('corrupt', { how: 'swap' }, { name: 'swapped', until: { seconds: 3 } }),
      ),
    ],
    also: ({ exits }) => expect(exits).toEqual([]),
  },
  {
    name: '27-tls-server-killed',
    what: 'over TLS: the server killed while a backlog drains, then connections that end within the handshake of TLS',
    secured: true,
    asks: HEALS_IN_TURN,
    method: (random) => [
      thin(
        suffer('cut', {}, { until: lasting(10, 1_500) }),
        midDrain(random),
        suffer('kill', { target: 'server' }),
      ),
      // No certificate is shorter than that.
      suffer('limit_data', { direction: 'down', bytes: 300 }, { until: { seconds: 3 } }),
    ],
    also: (_seen, log) => secured(log('server'), log('source')),
  },
];
