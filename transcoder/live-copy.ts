// Pass-through of a live epoch: the publisher's own frames in CMAF, written here. Looks like the encoder (live-encode.ts) to the run that
// drives it, and costs next to nothing.
import type { Logger } from '../platform/runtime/log.ts';
import { FLV_AAC, readAudioTag, readVideoTag } from './flv-tags.ts';
import { AUDIO_PATIENCE_S } from './live-audio-clock.ts';
import { CopyAudioCutter } from './live-copy-audio.ts';
import { copyLimits } from './live-copy-limits.ts';
import type { CopyPlan } from './live-copy-plan.ts';
import { type CopyPart, CopyVideoCutter } from './live-copy-video.ts';
import type { FeedMedia } from './live-feed.ts';
import { TICKS_PER_MS, VIDEO_TIMESCALE } from './live-grid.ts';
import type { MediaHandlers, MediaRun } from './live-media-run.ts';

export class CopyRun implements MediaRun {
  readonly #plan: CopyPlan;
  readonly #handlers: MediaHandlers;
  readonly #log: Logger;
  readonly #video: CopyVideoCutter;
  readonly #audio: CopyAudioCutter | null;
  #isOver = false;
  #forcedSeen = 0;

  constructor(plan: CopyPlan, handlers: MediaHandlers, log: Logger) {
    this.#plan = plan;
    this.#handlers = handlers;
    this.#log = log;
    const { info, firstMsn, video, audio } = plan;
    const limits = copyLimits(info.part_target, info.target_duration, audio?.sampleRate ?? 0);
    const nominalTicks = Math.round((VIDEO_TIMESCALE * info.fps.den) / info.fps.num);
    this.#video = new CopyVideoCutter({ rendition: video.name, firstMsn, limits, nominalTicks });
    this.#audio =
      audio === null
        ? null
        : new CopyAudioCutter({
            rendition: audio.name,
            sampleRate: audio.sampleRate,
            silence: audio.silence,
            maxFrames: limits.audioFrames,
            startsAt: plan.startsAt,
            continuesAt: plan.audioContinuesAt,
          });
  }

  async begin(_firstTimestamp: number): Promise<void> {
    const { video, audio, firstMsn, info } = this.#plan;
    const ready = [video, ...(audio === null ? [] : [audio])].map(({ name, init, info }) => ({
      name,
      bytes: init,
      info,
    }));
    const { target_duration, part_target } = info;
    this.#log.info('source is passed through', { msn: firstMsn, rendition: video.name, target_duration, part_target });
    try {
      await this.#handlers.onReady(ready);
    } catch (thrown) {
      this.#isOver = true;
      this.#handlers.onFailure(thrown);
    }
  }

  async feed(media: FeedMedia): Promise<void> {
    if (this.#isOver) return;
    if (media.type === 'audio') this.#takeAudio(media);
    else this.#takeVideo(media);
  }

  async finish(): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    for (const part of this.#video.finish()) this.#give(part);
    for (const part of this.#audio?.finish() ?? []) this.#handlers.onPart(part);
  }

  async kill(): Promise<void> {
    this.#isOver = true;
  }

  #takeVideo({ payload, dts, pts, isKey }: FeedMedia): void {
    const tag = readVideoTag(payload);
    if (tag === null || dts * TICKS_PER_MS < this.#plan.startsAt) return;
    for (const part of this.#video.push({ dts, pts, isKey, data: tag.data })) this.#give(part);
    const { forcedCuts } = this.#video;
    if (forcedCuts === this.#forcedSeen) return;
    if (this.#forcedSeen === 0) {
      this.#log.warn('key frames are further apart than the target duration', {
        target_duration: this.#plan.info.target_duration,
        advice: 'set a fixed key frame interval of 2 seconds in the encoder',
      });
    }
    this.#forcedSeen = forcedCuts;
  }

  #takeAudio({ payload, dts }: FeedMedia): void {
    const tag = readAudioTag(payload);
    if (this.#audio === null || tag === null || tag.codec !== FLV_AAC || this.#plan.audio?.isSilent === true) return;
    for (const part of this.#audio.push(dts, tag.data)) this.#handlers.onPart(part);
  }

  /** Audio that stays away for too long is replaced by silence, so that the video goes on. */
  #give(part: CopyPart): void {
    const { end, ...cut } = part;
    this.#handlers.onPart(cut);
    if (this.#audio === null) return;
    for (const audio of this.#audio.cut(part)) this.#handlers.onPart(audio);
    const patience = this.#plan.audio?.isSilent === true ? 0 : AUDIO_PATIENCE_S * VIDEO_TIMESCALE;
    for (const audio of this.#audio.fillTo(end - patience)) this.#handlers.onPart(audio);
  }
}
