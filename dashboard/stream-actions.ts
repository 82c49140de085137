// What can be done with a live stream: the buttons of its row. Each asks first where viewers or a publisher would notice.
import type { OverviewStream } from '../platform/contract/overview.ts';
import type { Api } from './api-client.ts';
import { openClipForm } from './clip-form.ts';
import { button, el } from './dom.ts';
import { attempt, confirmed } from './feedback.ts';
import { showStreamKey } from './stream-key.ts';

export type StreamActions = {
  /** Always in sight. */
  main: HTMLElement[];
  /** Behind the row's “More”. */
  more: HTMLElement[];
  update(stream: OverviewStream): void;
};
type Action = {
  label: string;
  /** Label for screen readers, the stream's name at its end. */
  spoken: (stream: OverviewStream) => string;
  className?: string;
  isShown?: (stream: OverviewStream) => boolean;
  ask?: (stream: OverviewStream) => [question: string, explanation: string, verb: string];
  run: (stream: OverviewStream) => Promise<void>;
  done?: string;
};

export const nameOf = (stream: OverviewStream): string => stream.title || 'Live stream';
const isLive = (stream: OverviewStream): boolean => stream.status === 'active';
const otherKey = (stream: OverviewStream) => (stream.publishing_key === 'backup' ? 'primary' : 'backup');

const complete = (api: Api): Action => ({
  label: 'End broadcast',
  spoken: (stream) => `End broadcast of ${nameOf(stream)}`,
  isShown: isLive,
  ask: (stream) => [
    `End the broadcast of “${nameOf(stream)}”?`,
    stream.record
      ? 'The encoder is cut off, viewers see the end, and the recording appears among the videos.'
      : 'The encoder is cut off and viewers see the end. It is not recorded.',
    'End broadcast',
  ],
  run: (stream) => api.completeStream(stream.id),
  done: 'The broadcast ends',
});
const kick = (api: Api): Action => ({
  label: 'Kick encoder',
  spoken: (stream) => `Kick the encoder of ${nameOf(stream)}`,
  isShown: (stream) => isLive(stream) && stream.publishing_key !== null,
  ask: (stream) => [
    `Cut off the encoder of “${nameOf(stream)}”?`,
    'The broadcast waits for an encoder to come back, and ends when none does. An encoder that connects again by itself is let in.',
    'Cut off',
  ],
  run: (stream) => api.kickStream(stream.id),
  done: 'The encoder is cut off',
});
const change = (api: Api): Action => ({
  label: 'Switch encoder',
  spoken: (stream) => `Switch ${nameOf(stream)} to its other encoder`,
  isShown: (stream) => isLive(stream) && stream.has_standby,
  ask: (stream) => [
    `Show “${nameOf(stream)}” from its ${otherKey(stream)} encoder?`,
    'Viewers go over at its next key frame. It stays there until you switch back.',
    'Switch',
  ],
  run: (stream) => api.switchStream(stream.id, otherKey(stream)),
  done: 'Switching at the next key frame',
});
const resetKey = (api: Api): Action => ({
  label: 'Reset key',
  spoken: (stream) => `Reset stream key of ${nameOf(stream)}`,
  ask: (stream) => [
    `Reset the key of “${nameOf(stream)}”?`,
    'The present key stops working at once, and whoever is publishing with it is cut off.',
    'Reset key',
  ],
  run: async (stream) => showStreamKey(await api.resetKey(stream.id)),
});
const makeBackupKey = (api: Api): Action => ({
  label: 'Make backup key',
  spoken: (stream) => `Make backup key of ${nameOf(stream)}`,
  isShown: (stream) => !stream.has_backup_key,
  run: async (stream) => showStreamKey(await api.resetBackupKey(stream.id)),
});
const resetBackupKey = (api: Api): Action => ({
  label: 'Reset backup key',
  spoken: (stream) => `Reset backup key of ${nameOf(stream)}`,
  isShown: (stream) => stream.has_backup_key,
  ask: (stream) => [
    `Reset the backup key of “${nameOf(stream)}”?`,
    'The present backup key stops working at once, and whoever is publishing with it is cut off.',
    'Reset backup key',
  ],
  run: async (stream) => showStreamKey(await api.resetBackupKey(stream.id)),
});
const record = (api: Api, isOn: boolean): Action => ({
  label: isOn ? 'Record' : 'Do not record',
  spoken: (stream) => `${isOn ? 'Record' : 'Do not record'} ${nameOf(stream)}`,
  isShown: (stream) => stream.record !== isOn,
  run: (stream) => api.setRecording(stream.id, isOn),
  done: isOn ? 'Broadcasts from now on are recorded' : 'Broadcasts from now on are not recorded',
});
const remove = (api: Api): Action => ({
  label: 'Delete',
  spoken: (stream) => `Delete ${nameOf(stream)}`,
  className: 'quiet risky',
  ask: (stream) => [
    `Delete “${nameOf(stream)}”?`,
    'Its publisher is cut off and its watch page stops working. Recordings stay. This cannot be undone.',
    'Delete',
  ],
  run: (stream) => api.deleteStream(stream.id),
  done: 'Live stream deleted',
});

/** @param row where the clip form goes */
export function createStreamActions(api: Api, first: OverviewStream, row: HTMLElement): StreamActions {
  let current = first;
  const updates: ((stream: OverviewStream) => void)[] = [];
  const make = (action: Action): HTMLElement => {
    const element = button(action.label, action.className ?? 'quiet', async () => {
      const stream = current;
      const question = action.ask?.(stream);
      if (question === undefined || (await confirmed(...question)))
        await attempt(() => action.run(stream), action.done);
    });
    updates.push((stream) => {
      element.hidden = action.isShown?.(stream) === false;
      element.setAttribute('aria-label', action.spoken(stream));
    });
    return element;
  };
  const watch = el('a', { class: 'quiet', target: '_blank', rel: 'noopener' }, 'Watch');
  const clip = button('Clip', 'quiet', () => {
    openClipForm(api, { kind: 'live', name: nameOf(current), streamId: current.id }, row, clip);
  });
  updates.push((stream) => {
    watch.hidden = stream.watch_url === null;
    if (stream.watch_url !== null) watch.href = stream.watch_url;
    watch.setAttribute('aria-label', `Watch ${nameOf(stream)}`);
    clip.hidden = !isLive(stream);
    clip.setAttribute('aria-label', `Clip ${nameOf(stream)}`);
  });
  return {
    main: [watch, clip, make(complete(api))],
    more: [
      make(change(api)),
      make(kick(api)),
      make(record(api, true)),
      make(record(api, false)),
      make(makeBackupKey(api)),
      make(resetBackupKey(api)),
      make(resetKey(api)),
      make(remove(api)),
    ],
    update(stream) {
      current = stream;
      for (const update of updates) update(stream);
    },
  };
}
