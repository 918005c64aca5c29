/**
 * The catalogue of hostile input over HTTP: H01 to H27, raw bytes and the statuses that may answer
 * them. Against the server's API and the collector's status server, where both have such a path.
 */
import type { ElsewhereCase } from './case.ts';

export type HttpTarget = 'api' | 'status';

export interface HttpCase {
  /** Of the catalogue. */
  readonly id: string;
  /** What is sent. */
  readonly name: string;
  /** What is expected, in words. */
  readonly expected: string;
  /** The bytes of one connection, as latin1. */
  readonly send: string;
  /** Any of these; 0 is a close without an answer. */
  readonly status: readonly number[];
  readonly on: readonly HttpTarget[];
  /** Must not be in the answer. */
  readonly without?: RegExp;
  /** Bytes come no more: the server has to end it by its own deadline. */
  readonly isSlow?: true;
}

const BOTH: readonly HttpTarget[] = ['api', 'status'];
const API: readonly HttpTarget[] = ['api'];

function request(path: string, headers: readonly string[] = [], method = 'GET'): string {
  const lines = [`${method} ${path} HTTP/1.1`, 'Host: 127.0.0.1', 'Connection: close', ...headers];
  return `${lines.join('\r\n')}\r\n\r\n`;
}

const query = (path: string): string => request(`/api/v1/${path}`);

function refusedQuery(id: string, name: string, path: string, expected = '400'): HttpCase {
  return { id, name, expected, send: query(path), status: [400], on: API };
}

export const HTTP_CASES: readonly HttpCase[] = [
  {
    id: 'H01',
    name: 'no Host',
    expected: '400',
    send: 'GET /healthz HTTP/1.1\r\n\r\n',
    status: [400],
    on: BOTH,
  },
  {
    id: 'H02',
    name: 'two Hosts',
    expected: '400: which of them is meant nobody can know',
    send: request('/healthz', ['Host: evil.example']),
    status: [400],
    on: BOTH,
  },
  ...['evil.example', '127.0.0.1.evil.example', '169.254.169.254:80'].map(
    (host): HttpCase => ({
      id: 'H03',
      name: `the Host ${host}`,
      expected: '421: a page of that name could read us through a browser (DNS rebinding)',
      send: `GET /api/v1/audit HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
      status: [421],
      on: API,
    }),
  ),
  ...(
    [
      [
        'Content-Length and Transfer-Encoding',
        ['Content-Length: 3', 'Transfer-Encoding: chunked'],
        '',
      ],
      ['two different Content-Lengths', ['Content-Length: 3', 'Content-Length: 4'], 'abcd'],
      ['a Content-Length of -1', ['Content-Length: -1'], ''],
      ['a Content-Length of 2^64', ['Content-Length: 18446744073709551616'], ''],
      ['a chunk without a length', ['Transfer-Encoding: chunked'], 'zz\r\n\r\n'],
    ] as const
  ).map(
    ([name, headers, body]): HttpCase => ({
      id: 'H04',
      name,
      expected: '400',
      send: request('/healthz', headers, 'POST') + body,
      // The method is refused before a body is looked at.
      status: [400, 405],
      on: BOTH,
    }),
  ),
  ...(
    [
      ['a NUL in a header', 'X-A: a\0b'],
      ['a space before the colon', 'X-A : b'],
      ['a folded header', 'X-A: a\r\n  folded'],
      ['a header without a colon', 'nonsense'],
    ] as const
  ).map(
    ([name, header]): HttpCase => ({
      id: 'H05',
      name,
      expected: '400',
      send: request('/healthz', [header]),
      status: [400],
      on: BOTH,
    }),
  ),
  {
    id: 'H06',
    name: 'a header of 17 KiB',
    expected: '431',
    send: request('/healthz', [`X-A: ${'a'.repeat(17_408)}`]),
    status: [431],
    on: BOTH,
  },
  {
    id: 'H06',
    name: 'a path of 17 KiB',
    expected: '431',
    send: request(`/${'a'.repeat(17_408)}`),
    status: [414, 431],
    on: BOTH,
  },
  {
    id: 'H06',
    name: '4,000 headers',
    expected: '431',
    send: request(
      '/healthz',
      Array.from({ length: 4_000 }, (_, i) => `X-${i}: a`),
    ),
    status: [431],
    on: BOTH,
  },
  {
    id: 'H07',
    name: 'half of the headers, then silence',
    expected: '408 after 5 s',
    send: 'GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A:',
    status: [408],
    on: BOTH,
    isSlow: true,
  },
  {
    id: 'H07',
    name: 'a body that never comes',
    expected: 'refused by its method, or 408 after 10 s',
    send: 'POST /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n',
    status: [405, 408],
    on: BOTH,
    isSlow: true,
  },
  {
    id: 'H08',
    name: 'the preface of HTTP/2',
    expected: '400',
    send: 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    status: [400],
    on: BOTH,
  },
  {
    id: 'H08',
    name: 'a TLS ClientHello',
    expected: '400',
    send: '\x16\x03\x01\0\xa5\x01\0\0\xa1\x03\x03',
    status: [400],
    on: BOTH,
  },
  {
    id: 'H08',
    name: 'a method that does not exist',
    expected: '400',
    send: request('/healthz', [], 'HOLD'),
    status: [400],
    on: BOTH,
  },
  {
    id: 'H09',
    name: 'CONNECT',
    expected: 'closed without an answer',
    send: 'CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: 169.254.169.254:80\r\n\r\n',
    status: [0],
    on: BOTH,
  },
  {
    id: 'H10',
    name: 'a whole URL of another host as the path',
    expected: '400, 404 or 421: nobody is a proxy here',
    send: request('http://evil.example/healthz'),
    status: [400, 404, 421],
    on: BOTH,
  },
  ...[
    '/../../etc/passwd',
    '/%2e%2e/%2e%2e/etc/passwd',
    '/..%2f..%2fetc%2fpasswd',
    '/assets/page.js%00.css',
    '/..\\..\\etc\\passwd',
    '/%252e%252e%252fetc%252fpasswd',
    '//etc/passwd',
    '/assets/../../server/main.ts',
    '/assets/..%2findex.html',
    '/assets/',
  ].map(
    (path): HttpCase => ({
      id: 'H11',
      name: `the path ${path}`,
      expected: '404 or 400: paths come from a fixed map, no name from outside becomes a file',
      send: request(path),
      status: [400, 404],
      on: BOTH,
      without: /root:|import /,
    }),
  ),
  {
    id: 'H12',
    name: 'Upgrade to a WebSocket',
    expected: 'answered as if it had not been asked for, which RFC 9110 allows, and closed',
    send: request('/healthz', ['Upgrade: websocket', 'Sec-WebSocket-Key: eA==']),
    status: [200],
    on: BOTH,
  },
  ...['POST', 'PUT', 'DELETE', 'PATCH', 'TRACE'].map(
    (method): HttpCase => ({
      id: method === 'TRACE' ? 'H25' : 'H13',
      name: `${method} of a path that is there`,
      expected: '405; there is nothing to write',
      send: request('/healthz', [], method),
      status: [405],
      on: BOTH,
    }),
  ),
  {
    id: 'H13',
    name: 'a path that is not there',
    expected: '404',
    send: request('/api/v2/everything'),
    status: [404],
    on: BOTH,
  },
  {
    id: 'H14',
    name: 'the announcement of a body of 1 GiB',
    expected: 'refused before a byte of it',
    send: request('/healthz', ['Content-Length: 1073741824'], 'POST'),
    status: [405, 413],
    on: BOTH,
  },
  {
    id: 'H15',
    name: 'a compressed body',
    expected: '405; nothing is ever inflated',
    send: `${request('/healthz', ['Content-Encoding: gzip', 'Content-Length: 4'], 'POST')}\x1f\x8b\x08\0`,
    status: [405],
    on: BOTH,
  },
  {
    id: 'H16',
    name: 'JSON that calls itself text, as a form of another site can send it',
    expected: '405',
    send: `${request('/healthz', ['Content-Type: text/plain', 'Content-Length: 2'], 'POST')}{}`,
    status: [405, 403],
    on: BOTH,
  },
  {
    id: 'H18',
    name: 'POST from another origin',
    expected: '403 or 405',
    send: request('/api/v1/audit', ['Origin: https://evil.example', 'Content-Length: 0'], 'POST'),
    status: [403, 405],
    on: API,
  },
  ...['limit=-1', 'limit=1e9', 'limit=NaN', 'limit=1&limit=2', 'limit[]=1', 'limit=', 'lmit=3'].map(
    (text) => refusedQuery('H20', `?${text}`, `frames?${text}`),
  ),
  refusedQuery('H21', 'a time that is none', 'frames?from=yesterday'),
  refusedQuery('H21', 'a time as a number', 'frames?from=1764000000000000'),
  refusedQuery('H21', 'a time of the year 275761', 'frames?to=%2B275761-01-01T00:00:00Z'),
  refusedQuery('H22', 'SQL as a collector', "frames?collector=';%20DROP%20TABLE%20frames;%20--"),
  refusedQuery('H22', 'a wildcard as a collector', 'export?collector=%25'),
  refusedQuery('H22', 'a column as an order', 'frames?order=payload'),
  refusedQuery('H22', 'a cursor made by hand', 'frames?cursor=WyJhIiwiYiIsMSwyXQ'),
  {
    id: 'H25',
    name: 'Range and If-None-Match that make no sense, and another method in a header',
    expected: 'ignored',
    send: request('/healthz', [
      'Range: bytes=9-1,-0,x',
      'If-None-Match: W/""""',
      'X-HTTP-Method-Override: DELETE',
    ]),
    status: [200],
    on: BOTH,
  },
  {
    id: 'H26',
    name: 'a line break in a value that comes back',
    expected: 'no header is made of it',
    send: request('/api/v1/frames?collector=a%0d%0aX-Owned:%20yes'),
    status: [400],
    on: API,
    without: /^x-owned/im,
  },
];

/** What is not played as one request. */
export const HTTP_ELSEWHERE: readonly ElsewhereCase[] = [
  {
    id: 'H03',
    name: 'a Host that is not ours, for the status server of the collector',
    why: 'it has no list of names: it is asked for by many, shows no secret and takes nothing',
  },
  {
    id: 'H17',
    name: 'JSON of all kinds of harm',
    why: 'no path takes a body; as payloads of frames it is T20 on the wire',
  },
  {
    id: 'H19',
    name: 'missing and wrong tokens',
    why: 'test/unit/server/api-guard.test.ts; nothing can be written, and tokens are too long to be found by trying, so nobody is made to wait',
  },
  {
    id: 'H23',
    name: 'faults asked for through the server',
    why: 'the server passes none on yet',
  },
];
