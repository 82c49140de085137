import { describe, expect, it } from 'vitest';
import { h2loadArgs, parseH2load, parseWrk, wrkArgs } from './load-tools.ts';

const WRK = `Running 2s test @ http://127.0.0.1:8080/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.02ms  512.00us  15.20ms   88.12%
    Req/Sec    62.10k     2.03k   66.00k    75.00%
  Latency Distribution
     50%  500.00us
     75%    1.20ms
     90%    1.51ms
     99%    1.02s
  124210 requests in 2.00s, 1.50GB read
Requests/sec:  62001.11
Transfer/sec:    767.98MB
`;
const H2LOAD = `progress: 100% of clients started
finished in 2.00s, 21345.50 req/s, 27.45MB/s
requests: 42691 total, 42851 started, 42691 done, 42691 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 42691 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 54.91MB (57572012) total, 1.22MB (1280730) headers (space savings 95.12%), 52.11MB (54644480) data
                     min         max         mean         sd        +/- sd
time for request:     1.21ms     15.32ms      7.45ms      1.02ms    88.20%
time for connect:   512us      2.01ms      1.20ms      301us    62.50%
`;

describe('the report of wrk', () => {
  it('tells requests, bytes and times in every unit it uses', () => {
    expect(parseWrk(WRK)).toEqual({
      requests: 124_210,
      bytes: 1.5 * 1_024 ** 3,
      errors: 0,
      p50Ms: 0.5,
      p99Ms: 1_020,
      perS: 62_001.11,
    });
  });

  it('adds up sockets that broke and answers that were none', () => {
    const text = `${WRK}  Socket errors: connect 1, read 2, write 3, timeout 4\n  Non-2xx or 3xx responses: 5\n`;
    expect(parseWrk(text).errors).toBe(15);
  });

  it('is refused when it is none', () => {
    expect(() => parseWrk('unable to connect to 127.0.0.1:1 Connection refused')).toThrow(/Connection refused/);
  });
});

describe('the report of h2load', () => {
  it('tells what succeeded', () => {
    expect(parseH2load(H2LOAD)).toEqual({
      requests: 42_691,
      bytes: 57_572_012,
      errors: 0,
      p50Ms: 7.45,
      p99Ms: null,
      perS: 21_345.5,
    });
  });

  it('counts failed requests and other statuses as errors', () => {
    expect(parseH2load(H2LOAD.replace('0 failed', '7 failed')).errors).toBe(7);
    expect(parseH2load(H2LOAD.replace('0 4xx', '9 4xx')).errors).toBe(9);
  });

  it('is refused when it is none', () => {
    expect(() => parseH2load('[ERROR] Could not connect')).toThrow(/Could not connect/);
  });
});

it('both ask one address with one thread; wrk for a time, h2load as often as will take about that time', () => {
  const load = { url: 'https://127.0.0.1:1/a', seconds: 3, connections: 16, perS: 1_000 };
  expect(wrkArgs(load)).toEqual(['-t1', '-c16', '-d3s', '--latency', load.url]);
  expect(h2loadArgs(load)).toEqual(['-t1', '-c16', '-m10', '-n3000', load.url]);
  // A round of every stream when nothing is known.
  expect(h2loadArgs({ ...load, perS: null })).toContain('-n160');
});
