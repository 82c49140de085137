// Rules of repair over records in hand and a clock in hand: what is touched, when, and what is left alone.
import { describe, expect, test } from 'vitest';
import type { AssetId, UploadId } from '../platform/contract/ids.ts';
import type { AssetRecord, UploadRecord } from '../platform/contract/records.ts';
import { silentLogger } from '../platform/runtime/log.ts';
import { idleBroadcasts } from '../test/support/broadcast-repairs.ts';
import { sampleBroadcast, sampleStream } from '../test/support/sample-records.ts';
import { PARTS_KEPT_MS } from './part-removal.ts';
import { createReconciler, type OpenThing, ORPHAN_MS, type ReconcilerDeps } from './reconciler.ts';

const ASSET = 'A'.repeat(22) as AssetId;
const UPLOAD = 'U'.repeat(22) as UploadId;

const asset = (more: Partial<AssetRecord> = {}) =>
  ({
    id: ASSET,
    status: 'preparing',
    updated_at: 100,
    term: 0,
    cancel_requested: false,
    source: { type: 'upload', upload_id: UPLOAD, complete: true },
    ...more,
  }) as AssetRecord;
const upload = (more: Partial<UploadRecord> = {}) =>
  ({ id: UPLOAD, asset_id: ASSET, status: 'waiting', length: 10, expires_at: 1e9, ...more }) as UploadRecord;
function create(given: Partial<ReconcilerDeps>, things: OpenThing[]) {
  const done: string[] = [];
  const clock = { ms: 1_000 };
  const note = (what: string) => async () => void done.push(what);
  const deps: ReconcilerDeps = {
    asset: async () => null,
    upload: async () => null,
    ...idleBroadcasts,
    async *everything() {
      yield* things;
    },
    live: async () => [],
    recent: async () => [],
    indexMark: async () => 'built',
    hasHolder: async () => false,
    hasOpenJob: async () => false,
    lastFailure: async () => null,
    enqueue: note('enqueue'),
    failAsset: async (_id, type, messages) => void done.push(`fail ${type} ${messages.join()}`),
    finishAssetRemoval: async () => done.push('finish removal') > 0,
    removeAsset: note('remove asset'),
    storedBytes: async () => 0,
    completeUpload: note('complete'),
    expireUpload: note('expire'),
    now: () => clock.ms,
    repaired: () => undefined,
    log: silentLogger,
    ...given,
  };
  const reconciler = createReconciler(deps);
  const signal = new AbortController().signal;
  return {
    done,
    reconciler,
    async passAt(ms: number) {
      clock.ms = ms;
      await reconciler.pass(signal);
    },
  };
}
const theAsset: OpenThing[] = [{ kind: 'asset', id: ASSET }];

describe('assets', () => {
  test('one without worker and job is queued, but only after a worker had time to take its lease again', async () => {
    const it = create({ asset: async () => asset() }, theAsset);
    await it.passAt(1_000);
    await it.passAt(1_000 + ORPHAN_MS - 1);
    expect(it.done).toEqual([]);
    await it.passAt(1_000 + ORPHAN_MS);
    expect(it.done).toEqual(['enqueue']);
  });

  test('a worker seen in between starts the time anew', async () => {
    let isHeld = false;
    const it = create({ asset: async () => asset(), hasHolder: async () => isHeld }, theAsset);
    await it.passAt(1_000);
    isHeld = true;
    await it.passAt(3_000);
    isHeld = false;
    await it.passAt(5_000);
    await it.passAt(5_000 + ORPHAN_MS - 1);
    expect(it.done).toEqual([]);
  });

  const quiet: [string, Partial<ReconcilerDeps>][] = [
    ['a worker holds it', { hasHolder: async () => true }],
    ['a job is open', { hasOpenJob: async () => true }],
    ['it is ready', { asset: async () => asset({ status: 'ready' }) }],
    ['it is errored', { asset: async () => asset({ status: 'errored' }) }],
    [
      'its bytes are still coming',
      {
        asset: async () => asset({ source: { type: 'upload', upload_id: UPLOAD, complete: false } }),
        upload: async () => upload(),
      },
    ],
  ];
  test.each(quiet)('is left alone when %s', async (_name, given) => {
    const it = create({ asset: async () => asset(), ...given }, theAsset);
    for (let ms = 0; ms < 60_000; ms += 2_000) await it.passAt(ms);
    expect(it.done).toEqual([]);
  });

  test('a job that failed for good makes it errored with the reason', async () => {
    const lastFailure = async () => ({ finishedAt: 200, reason: 'no such codec' });
    const it = create({ asset: async () => asset(), lastFailure }, theAsset);
    await it.passAt(0);
    await it.passAt(ORPHAN_MS);
    expect(it.done).toEqual(['fail UNKNOWN no such codec']);
  });

  test('a failure older than the last change of the record (a retry) is queued again', async () => {
    const lastFailure = async () => ({ finishedAt: 50, reason: 'old' });
    const it = create({ asset: async () => asset(), lastFailure }, theAsset);
    await it.passAt(0);
    await it.passAt(ORPHAN_MS);
    expect(it.done).toEqual(['enqueue']);
  });

  test('one that was to be cancelled ends as CANCELLED', async () => {
    const it = create({ asset: async () => asset({ cancel_requested: true }) }, theAsset);
    await it.passAt(0);
    await it.passAt(ORPHAN_MS);
    expect(it.done).toEqual(['fail CANCELLED cancelled by request']);
  });

  test('one whose upload was never recorded, or ended, is removed', async () => {
    const unfilled = async () => asset({ source: { type: 'upload', upload_id: UPLOAD, complete: false } });
    const it = create({ asset: unfilled }, theAsset);
    await it.passAt(0);
    await it.passAt(ORPHAN_MS);
    expect(it.done).toEqual(['remove asset']);
  });

  test('a deletion is finished, and tried again while it fails', async () => {
    let tries = 0;
    const finishAssetRemoval = async () => {
      tries += 1;
      if (tries === 1) throw new Error('store away');
      return true;
    };
    const it = create({ asset: async () => asset({ status: 'deleting' }), finishAssetRemoval }, theAsset);
    await it.passAt(0);
    await it.passAt(2_000);
    await it.passAt(4_000);
    expect(tries).toBe(2);
  });
});

describe('uploads', () => {
  const theUpload: OpenThing[] = [{ kind: 'upload', id: UPLOAD }];
  const cases: [string, Partial<ReconcilerDeps>, string[]][] = [
    ['all bytes stored: completed', { storedBytes: async () => 10 }, ['complete']],
    ['some bytes stored: left alone', { storedBytes: async () => 9 }, []],
    ['someone sends: left alone', { storedBytes: async () => 10, hasHolder: async () => true }, []],
    ['past its time: timed out', { upload: async () => upload({ expires_at: 5 }) }, ['expire']],
    [
      'complete and past its time: completed',
      { upload: async () => upload({ expires_at: 5 }), storedBytes: async () => 10 },
      ['complete'],
    ],
    ['over: left alone', { upload: async () => upload({ status: 'cancelled', expires_at: 5 }) }, []],
  ];
  test.each(cases)('%s', async (_name, given, expected) => {
    const it = create({ upload: async () => upload(), ...given }, theUpload);
    await it.passAt(1_000);
    expect(it.done).toEqual(expected);
  });
});

describe('what is looked at', () => {
  test('finished things are not read again until touched', async () => {
    let reads = 0;
    const read = async () => {
      reads += 1;
      return asset({ status: 'ready' });
    };
    const it = create({ asset: read }, theAsset);
    for (let count = 0; count < 61; count += 1) await it.passAt(count * 2_000);
    expect(reads).toBe(1);
    it.reconciler.touch({ kind: 'asset', id: ASSET });
    await it.passAt(130_000);
    expect(reads).toBe(2);
  });

  test('a thing that wants a later look gets none before, unless it is touched', async () => {
    const broadcast = sampleBroadcast({ status: 'ended', ended_at: 0 });
    let reads = 0;
    const read = async () => {
      reads += 1;
      return broadcast;
    };
    const thing: OpenThing = { kind: 'broadcast', id: broadcast.id };
    const stream = async () => sampleStream({ id: broadcast.stream_id, broadcast_id: broadcast.id });
    const it = create({ broadcast: read, stream }, [thing]);
    await it.passAt(0);
    await it.passAt(PARTS_KEPT_MS - 1);
    expect(reads).toBe(1);
    it.reconciler.touch(thing);
    await it.passAt(PARTS_KEPT_MS - 1);
    expect(reads).toBe(2);
    await it.passAt(PARTS_KEPT_MS);
    expect(reads).toBe(3);
  });

  test('an index built anew brings a look at everything', async () => {
    let mark: string | null = 'a';
    let scans = 0;
    async function* everything(): AsyncIterable<OpenThing> {
      scans += 1;
      yield* [];
    }
    const it = create({ everything, indexMark: async () => mark }, []);
    await it.passAt(0);
    await it.passAt(2_000);
    expect(scans).toBe(1);
    mark = null;
    await it.passAt(4_000);
    mark = 'a';
    await it.passAt(6_000);
    expect(scans).toBe(2);
  });

  test('Redis away does not stop the look at open things', async () => {
    const away = async () => {
      throw new Error('redis away');
    };
    const it = create({ asset: async () => asset(), indexMark: away, live: away, recent: away }, theAsset);
    await it.passAt(0);
    await it.passAt(ORPHAN_MS);
    expect(it.done).toEqual(['enqueue']);
  });
});
