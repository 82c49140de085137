// What low-latency viewers ask: blocking reload, delta updates, hinted parts, media that is not in the store yet.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { NodeId } from '../platform/contract/ids.ts';
import type { NodeInfo } from '../platform/contract/nodes.ts';
import { initKey, partKey, segmentKey } from '../platform/contract/object-keys.ts';
import { headers, workerObjectPath } from '../platform/contract/routes.ts';
import type { TimelineEntry } from '../platform/contract/timeline.ts';
import { closeServer } from '../platform/runtime/http-server.ts';
import {
  append,
  blockedRequests,
  drainWindows,
  get,
  liveMedia,
  liveSegment,
  newWorld,
  put,
  SECRET,
  world,
} from '../test/support/origin-world.ts';
import {
  A0,
  broadcastOf,
  entriesOf,
  epochOf,
  LIVE_CONTENT,
  segmentEntries,
  V360,
  WRITER,
} from '../test/support/timelines.ts';
import { waitUntil } from '../test/support/wait-until.ts';

beforeEach(newWorld);

const reload = (msn: number, part?: number, skip = '') =>
  `${liveMedia}?_HLS_msn=${msn}${part === undefined ? '' : `&_HLS_part=${part}`}${skip}`;
const partOf = (msn: number, part: number): TimelineEntry[] => segmentEntries({ epoch: 1, msn }).slice(part, part + 1);
const partPath = (msn: number, part: number, writer: string = WRITER) =>
  liveMedia.replace('index.m3u8', `1/p${msn}.${part}.${writer}.m4s`);
const blocked = (count: number) => waitUntil(`${count} blocked`, () => blockedRequests() === count);

describe('blocking reload', () => {
  test('what is there is answered at once, exactly as of that place, for twelve seconds', async () => {
    const answer = await get(reload(3, 1)).expect(200);
    expect(answer.headers['cache-control']).toBe('public, max-age=12');
    expect(answer.headers['headwater-position']).toBe('1.3.1');
    expect(answer.text).toContain('URI="1/p3.1.');
    expect(answer.text).not.toContain(`1/s3.${WRITER}`);
    expect(answer.text).toContain(`TYPE=PART,URI="1/p3.2.${WRITER}.m4s"`);
  });
  test('a whole segment, and a part beyond its last', async () => {
    expect((await get(reload(3)).expect(200)).headers['headwater-position']).toBe('1.3.3');
    expect((await get(reload(2, 7)).expect(200)).headers['headwater-position']).toBe('1.3.0');
  });
  test('the next part is waited for; many who ask for it get one text', async () => {
    await get(liveMedia);
    const waiting = [1, 2, 3].map(() => get(reload(4, 0)).then((answer) => answer));
    await blocked(3);
    append(partOf(4, 0));
    const answers = await Promise.all(waiting);
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
    for (const { status, headers: sent } of answers) {
      expect([status, sent['headwater-position'], sent['cache-control']]).toEqual([200, '1.4.0', 'public, max-age=12']);
    }
    expect((await get(reload(4, 0))).text).toBe(answers[0]?.text);
  });
  test('a whole segment is waited for until it closes', async () => {
    await get(liveMedia);
    const waiting = get(reload(4)).then((answer) => answer);
    await blocked(1);
    for (const part of [0, 1, 2]) append(partOf(4, part));
    expect(blockedRequests()).toBe(1);
    append(partOf(4, 3));
    expect((await waiting).headers['headwater-position']).toBe('1.4.3');
  });
  test('what lies far back is shown as of now, and not kept for long', async () => {
    await get(liveMedia);
    append(entriesOf(1, 4, 12));
    const answer = await get(reload(3, 1)).expect(200);
    expect([answer.headers['headwater-position'], answer.headers['cache-control']]).toEqual([
      '1.12.3',
      'public, max-age=1',
    ]);
  });
  test('a delta update leaves out what is old; alone it is not kept for long', async () => {
    await get(liveMedia);
    append(entriesOf(1, 4, 20));
    const answer = await get(`${liveMedia}?_HLS_skip=YES`).expect(200);
    expect(answer.text).toContain('#EXT-X-SKIP:SKIPPED-SEGMENTS=');
    expect(answer.headers['cache-control']).toBe('public, max-age=1');
    const exact = await get(reload(20, 3, '&_HLS_skip=v2')).expect(200);
    expect([exact.text, exact.headers['cache-control']]).toEqual([answer.text, 'public, max-age=12']);
  });
  test.each([
    ['_HLS_part=1'],
    ['_HLS_msn=x'],
    ['_HLS_msn=4&_HLS_part=-1'],
    ['_HLS_skip=maybe'],
    ['_HLS_msn=6'],
    ['_HLS_msn=4&_HLS_part=6'],
  ])('%s: 400, not kept', async (query) => {
    const answer = await get(`${liveMedia}?${query}`).expect(400);
    expect(answer.headers['cache-control']).toBe('no-store');
    expect(answer.headers['headwater-scope']).toBeUndefined();
  });
  test('two segments ahead is not too far; while Redis is silent nothing is', async () => {
    await get(liveMedia);
    const waiting = get(reload(5, 0)).then((answer) => answer);
    await blocked(1);
    append([...entriesOf(1, 4, 4), ...partOf(5, 0)]);
    expect((await waiting).status).toBe(200);
    world.staleMs = 1_500;
    const answer = await get(reload(9, 0)).expect(503);
    expect(answer.headers['headwater-scope']).toBe('stream');
  });
  test('without parts, reload by segment and delta updates work all the same', async () => {
    world.broadcast = broadcastOf({ epochs: [{ ...epochOf(1, 0), part_target: null }] });
    await get(liveMedia).expect(200);
    const waiting = get(reload(4, 2)).then((answer) => answer);
    await blocked(1);
    append(entriesOf(1, 4, 4));
    const answer = await waiting;
    expect([answer.status, answer.headers['headwater-position']]).toEqual([200, '1.4.3']);
    expect(answer.text).not.toContain('EXT-X-PART');
  });
  test('after the end directives have no meaning', async () => {
    await get(liveMedia);
    world.broadcast = broadcastOf({ status: 'ended' });
    world.now = 2_000;
    await get(liveMedia);
    world.now = 3_000;
    const answer = await get(reload(99, 0, '&_HLS_skip=YES')).expect(200);
    expect(answer.text).toContain('#EXT-X-ENDLIST');
    expect(answer.headers['cache-control']).toBe('public, max-age=1');
  });
  test('on demand they have none either', async () => {
    world.entries = [];
    await get(`${liveMedia.replace(LIVE_CONTENT, world.asset.content_id)}?_HLS_msn=99`).expect(200);
  });
  test('an origin that goes sends everybody elsewhere at once', async () => {
    await get(liveMedia);
    const waiting = [get(reload(4, 0)), get(partPath(4, 0))].map((request) => request.then((answer) => answer));
    await blocked(2);
    await drainWindows();
    for (const { status, headers: sent } of await Promise.all(waiting)) {
      expect([status, sent['headwater-scope'], sent['cache-control']]).toEqual([503, undefined, 'no-store']);
    }
    await get(liveMedia).expect(200);
  });
  test('an epoch that the record held here does not name yet is read anew', async () => {
    await get(liveMedia);
    world.broadcast = broadcastOf({ epochs: [epochOf(1, 0), epochOf(2, 4)] });
    const waiting = get(reload(4, 0)).then((answer) => answer);
    await blocked(1);
    append(segmentEntries({ epoch: 2, msn: 4 }).slice(0, 1));
    const answer = await waiting;
    expect([answer.status, answer.headers['headwater-position']]).toEqual([200, '2.4.0']);
    expect(answer.text).toContain('#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI="2/init.mp4"');
  });
});

describe('parts', () => {
  const keyOf = (msn: number, part: number) =>
    partKey({ content: LIVE_CONTENT, rendition: V360, epoch: 1, msn, part, writer: WRITER });
  test('a hinted one is waited for', async () => {
    await put(keyOf(4, 0), 'the part');
    await get(liveMedia);
    const waiting = get(partPath(4, 0)).then((answer) => answer);
    await blocked(1);
    append(partOf(4, 0));
    const answer = await waiting;
    expect([answer.status, answer.body.toString()]).toEqual([200, 'the part']);
  });
  test('when its place goes to another it never comes: 404', async () => {
    await get(liveMedia);
    const waiting = get(partPath(4, 0, 'writer0002')).then((answer) => answer);
    await blocked(1);
    append(partOf(4, 0));
    expect((await waiting).status).toBe(404);
    await get(partPath(5, 0, 'none')).expect(404);
  });
  test('older than the parts held here: whatever the store says', async () => {
    world.entries = entriesOf(1, 0, 20);
    await get(partPath(2, 0)).expect(404);
    await put(keyOf(2, 0), 'old');
    expect((await get(partPath(2, 0)).expect(200)).body.toString()).toBe('old');
  });
});

describe('not in the store yet', () => {
  const NODE = 'transcoder0000000001' as NodeId;
  const objects = new Map<string, string>();
  const asked: string[] = [];
  const worker = createServer((req, res) => {
    asked.push(`${req.method} ${req.url} ${req.headers[headers.internal] === SECRET}`);
    const body = objects.get(req.url ?? '');
    if (body === undefined) res.writeHead(404).end();
    else res.writeHead(200, { 'content-length': body.length }).end(req.method === 'HEAD' ? undefined : body);
  });
  beforeEach(async () => {
    await new Promise<void>((resolve) => worker.listen(0, '127.0.0.1', resolve));
    const { port } = worker.address() as AddressInfo;
    world.transcoders = [{ id: NODE, url: `http://127.0.0.1:${port}` } as NodeInfo];
    world.entries = entriesOf(1, 0, 3).map((entry) => (entry.msn === 3 ? { ...entry, src: `worker:${NODE}` } : entry));
    objects.clear();
    asked.length = 0;
  });
  afterEach(() => closeServer(worker, 0));
  const part = workerObjectPath(
    partKey({ content: LIVE_CONTENT, rendition: V360, epoch: 1, msn: 3, part: 1, writer: WRITER }),
  );
  const segmentKeyOf = (msn: number) =>
    segmentKey({ content: LIVE_CONTENT, rendition: V360, epoch: 1, msn, writer: WRITER });

  test('parts and segments come from the worker that the timeline names', async () => {
    world.isStoreDown = true;
    objects.set(part, '0123456789');
    objects.set(workerObjectPath(segmentKeyOf(3)), 'segment');
    const answer = await get(partPath(3, 1)).expect(200);
    expect(answer.body.toString()).toBe('0123456789');
    expect(answer.headers['cache-control']).toBe('public, max-age=31536000, immutable');
    expect((await get(liveSegment(3)).expect(200)).body.toString()).toBe('segment');
    expect(asked[0]).toBe(`GET ${part} true`);
  });
  test('ranges of it too: a fill that broke off goes on', async () => {
    objects.set(part, '0123456789');
    const answer = await get(partPath(3, 1)).set('range', 'bytes=4-6').expect(206);
    expect([answer.body.toString(), answer.headers['content-range']]).toEqual(['456', 'bytes 4-6/10']);
    await get(partPath(3, 1)).set('range', 'bytes=10-').expect(416);
  });
  test('stored meanwhile: from the store', async () => {
    await put(segmentKeyOf(3), 'stored');
    expect((await get(liveSegment(3)).expect(200)).body.toString()).toBe('stored');
  });
  test('on neither: 503 of the stream, for the next worker on that disk will store it', async () => {
    const answer = await get(liveSegment(3)).expect(503);
    expect(answer.headers['headwater-scope']).toBe('stream');
  });
  test('an init that nobody has asked for is here when the store goes away', async () => {
    const init = (rendition: string) => liveMedia.replace('v360/index.m3u8', `${rendition}/1/init.mp4`);
    await put(initKey({ content: LIVE_CONTENT, rendition: A0, epoch: 1 }), 'audio init');
    await get(partPath(3, 1));
    world.now = 500;
    await waitUntil('the init of the audio', async () => {
      world.isStoreDown = true;
      const answer = await get(init('a0'));
      world.isStoreDown = false;
      return answer.status === 200;
    });
    world.isStoreDown = true;
    const answer = await get(init('a0')).expect(200);
    expect([answer.headers['content-type'], answer.body.toString()]).toEqual(['audio/mp4', 'audio init']);
    expect((await get(init('a0')).set('range', 'bytes=6-').expect(206)).body.toString()).toBe('init');
    await get(init('v360')).expect(503);
  });
  test('a worker that is gone is not waited for', async () => {
    world.transcoders = [{ id: NODE, url: 'http://127.0.0.1:1' } as NodeInfo];
    await get(liveSegment(3)).expect(503);
    world.transcoders = [];
    await get(liveSegment(3)).expect(503);
  });
  test('the store went away just after: whoever carries the broadcast may still have it', async () => {
    world.broadcast = broadcastOf({ worker: NODE });
    objects.set(workerObjectPath(segmentKeyOf(1)), 'kept');
    expect((await get(liveSegment(1)).expect(404)).status).toBe(404);
    world.isStoreDown = true;
    expect((await get(liveSegment(1)).expect(200)).body.toString()).toBe('kept');
    await get(liveSegment(2)).expect(503);
  });
});
