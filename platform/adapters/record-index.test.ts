import { expect, test } from 'vitest';
import { sampleAsset, sampleBroadcast, sampleContent, sampleStream } from '../../test/support/sample-records.ts';
import { newId, type PlaybackId } from '../contract/ids.ts';
import { liveBroadcastsKey, playbackIndexKey, streamKeyIndexKey } from '../contract/redis-keys.ts';
import { formatStreamKeyEntry, parseStreamKeyEntry, type StreamKeyEntry } from '../contract/stream-keys.ts';
import {
  anyRecord,
  changeOf,
  compareNewest,
  entriesOf,
  formatCursor,
  isEmpty,
  parseCursor,
  parseTarget,
} from './record-index.ts';

function entry(text: string): StreamKeyEntry {
  const parsed = parseStreamKeyEntry(text);
  if (parsed === null) throw new Error(`no key entry: ${text}`);
  return parsed;
}
const fieldsOf = (record: ReturnType<typeof anyRecord>, key: string) => [...(entriesOf(record).get(key)?.keys() ?? [])];

test.each([
  ['enabled', ['hash'], 1],
  ['disabled', [], 1],
  ['deleting', [], 0],
] as const)('a stream that is %s has keys %j and %i playback ids', (status, keys, playbackIds) => {
  const record = anyRecord('stream', sampleStream({ status, key_hash: 'hash' }));
  expect(fieldsOf(record, streamKeyIndexKey)).toEqual(keys);
  expect(fieldsOf(record, playbackIndexKey)).toHaveLength(playbackIds);
});

test.each([
  ['live', 1],
  ['ending', 0],
  ['ended', 0],
] as const)('a broadcast that is %s stands %i times among the live ones', (status, times) => {
  expect(fieldsOf(anyRecord('broadcast', sampleBroadcast({ status })), liveBroadcastsKey)).toHaveLength(times);
});

test('primary, backup and rotated keys stand there with what they are and until when', () => {
  const stream = sampleStream({
    key_hash: 'first',
    backup_key_hash: 'second',
    old_keys: [{ hash: 'old', key: 'backup', until: 5_000 }],
  });
  const entries = Object.fromEntries(entriesOf(anyRecord('stream', stream)).get(streamKeyIndexKey) ?? []);
  expect(entries).toEqual({
    first: `${stream.id}:primary:0`,
    second: `${stream.id}:backup:0`,
    old: `${stream.id}:backup:5000`,
  });
  for (const text of Object.values(entries)) expect(formatStreamKeyEntry(entry(text))).toBe(text);
});

test.each(['', 'short:primary:0', `${'s'.repeat(22)}:third:0`, `${'s'.repeat(22)}:backup:soon`])(
  'no key entry: %s',
  (text) => expect(parseStreamKeyEntry(text)).toBeNull(),
);

test('a content stands in its list alone', () => {
  const entries = entriesOf(anyRecord('content', sampleContent()));
  expect([...entries.values()].every((fields) => fields.size === 0)).toBe(true);
});

test('a deleted asset has no playback id any more', () => {
  expect(fieldsOf(anyRecord('asset', sampleAsset({ status: 'deleting' })), playbackIndexKey)).toEqual([]);
});

test('a change names what is new and what is gone, and nothing else', () => {
  const [kept, gone, added] = [newId<PlaybackId>(), newId<PlaybackId>(), newId<PlaybackId>()];
  const before = sampleStream({
    key_hash: 'old',
    playback_ids: [kept, gone].map((id) => ({ id, policy: 'public' as const })),
  });
  const after = {
    ...before,
    key_hash: 'new',
    playback_ids: [kept, added].map((id) => ({ id, policy: 'public' as const })),
  };
  const target = JSON.stringify({ kind: 'stream', id: before.id, policy: 'public' });
  expect(changeOf(anyRecord('stream', before), anyRecord('stream', after))).toEqual({
    set: [
      [playbackIndexKey, added, target],
      [streamKeyIndexKey, 'new', `${before.id}:primary:0`],
    ],
    remove: [
      [playbackIndexKey, gone],
      [streamKeyIndexKey, 'old'],
    ],
  });
  expect(isEmpty(changeOf(anyRecord('stream', before), anyRecord('stream', { ...before, title: 'other' })))).toBe(true);
});

test('a changed policy is a change', () => {
  const before = sampleAsset();
  const after = { ...before, playback_ids: before.playback_ids.map(({ id }) => ({ id, policy: 'signed' as const })) };
  expect(changeOf(anyRecord('asset', before), anyRecord('asset', after)).set).toHaveLength(1);
});

test('cursors go round; other text is no cursor', () => {
  const place = { createdAt: 1_700_000_000_000, id: newId() };
  expect(parseCursor(formatCursor(place))).toEqual(place);
  for (const text of ['', 'x', '!!', Buffer.from('12.').toString('base64url')]) expect(parseCursor(text)).toBeNull();
});

test('newest first, equal times by id downwards', () => {
  const places = [
    { createdAt: 1, id: 'a' },
    { createdAt: 2, id: 'a' },
    { createdAt: 2, id: 'b' },
  ];
  expect(places.sort(compareNewest).map((place) => `${place.createdAt}${place.id}`)).toEqual(['2b', '2a', '1a']);
});

test('text that is no target is no entry', () => {
  expect(parseTarget('nonsense')).toBeNull();
  expect(parseTarget('{"kind":"asset"}')).toBeNull();
});
