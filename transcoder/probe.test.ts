// What ffprobe's words become, and what is refused.
import { describe, expect, it } from 'vitest';
import { MediaRefused } from './errors.ts';
import { LIMITS, ProbeOutput, readSource } from './probe.ts';

const picture = {
  index: 0,
  codec_type: 'video',
  codec_name: 'h264',
  width: 1920,
  height: 1080,
  sample_aspect_ratio: '1:1',
  avg_frame_rate: '25/1',
  r_frame_rate: '25/1',
  field_order: 'progressive',
  start_time: 0,
  duration: 10,
  disposition: { default: 1, attached_pic: 0 },
};
const sound = { index: 1, codec_type: 'audio', codec_name: 'aac', sample_rate: 48_000, channels: 2, duration: 10 };
const read = (streams: object[], format: object = { duration: 10, start_time: 0 }, bytes = 10_000_000) =>
  readSource(ProbeOutput.parse({ streams, format }), bytes);

describe('readSource', () => {
  it('takes picture and sound', () => {
    expect(read([picture, sound])).toEqual({
      durationS: 10,
      video: {
        index: 0,
        codec: 'h264',
        width: 1920,
        height: 1080,
        fps: 25,
        isInterlaced: false,
        startS: 0,
        durationS: 10,
      },
      audio: { index: 1, codec: 'aac', sampleRate: 48_000, channels: 2, startS: 0, durationS: 10 },
    });
  });

  it.each([
    ['turned by 90 degrees', { rotation: '-90' }, [1080, 1920]],
    ['turned by 180 degrees', { rotation: 180 }, [1920, 1080]],
    ['turned by 270 degrees', { rotation: 270 }, [1080, 1920]],
    ['with wide pixels', { width: 1440, sample_aspect_ratio: '4:3' }, [1920, 1080]],
    ['with wide pixels, turned', { width: 1440, sample_aspect_ratio: '4:3', rotation: 90 }, [1080, 1920]],
    ['with absurd pixels', { sample_aspect_ratio: '1000:1' }, [1920, 1080]],
    ['with unknown pixels', { sample_aspect_ratio: 'N/A' }, [1920, 1080]],
  ])('shows a picture %s as it is meant', (_name, changes, size) => {
    const { video } = read([{ ...picture, ...changes }]);
    expect([video?.width, video?.height]).toEqual(size);
  });

  it.each([
    ['a constant rate', { avg_frame_rate: '30000/1001', r_frame_rate: '30000/1001' }, 29.97],
    ['an uneven rate', { avg_frame_rate: '22/1', r_frame_rate: '30/1' }, 30],
    ['a clock that is no rate', { avg_frame_rate: '24/1', r_frame_rate: '90000/1' }, 24],
    ['fields', { avg_frame_rate: '25/1', r_frame_rate: '50/1', field_order: 'tt' }, 25],
    ['an unknown average', { avg_frame_rate: '0/0', r_frame_rate: '50/1' }, 50],
    ['nothing known', { avg_frame_rate: '0/0', r_frame_rate: '0/0' }, null],
  ])('reads the frame rate of %s', (_name, changes, fps) => {
    const rate = read([{ ...picture, ...changes }]).video?.fps;
    if (fps === null) expect(rate).toBeNull();
    else expect(rate).toBeCloseTo(fps, 2);
  });

  it('counts starts from the first stream of the file', () => {
    const source = read(
      [
        { ...picture, start_time: 5.5 },
        { ...sound, start_time: 5 },
      ],
      { start_time: 5, duration: 10 },
    );
    expect(source.video?.startS).toBe(0.5);
    expect(source.audio?.startS).toBe(0);
  });

  it('takes the default stream, and no cover picture for a film', () => {
    const cover = { ...picture, index: 2, codec_name: 'mjpeg', disposition: { attached_pic: 1, default: 1 } };
    const second = { ...sound, index: 3, disposition: { default: 1 } };
    const source = read([cover, { ...sound, disposition: { default: 0 } }, second]);
    expect(source.video).toBeNull();
    expect(source.audio?.index).toBe(3);
  });

  it('lives with a container that does not know how long it is', () => {
    const open = { ...picture, duration: 'N/A' };
    expect(read([open], { duration: 'N/A', start_time: 'N/A' })).toMatchObject({
      durationS: 0,
      video: { durationS: null },
    });
  });

  it.each([
    ['NON_VIDEO', [], {}, 1_000],
    ['NON_VIDEO', [{ ...picture, codec_type: 'data' }], {}, 1_000],
    ['UNSUPPORTED_VIDEO', [{ ...picture, codec_name: 'unknown' }], {}, 1_000],
    ['UNSUPPORTED_AUDIO', [{ ...sound, codec_name: 'unknown' }], {}, 1_000],
    ['MALFORMED', [{ ...picture, width: 0 }], {}, 1_000],
    ['PICTURE_TOO_LARGE', [{ ...picture, width: LIMITS.longSidePixels + 2 }], {}, 1_000],
    ['PICTURE_TOO_LARGE', [{ ...picture, width: 5_000, height: 5_000 }], {}, 1_000],
    ['FRAME_RATE_TOO_HIGH', [{ ...picture, avg_frame_rate: '1000000/1' }], {}, 1_000],
    [
      'TOO_MANY_STREAMS',
      Array.from({ length: LIMITS.streams + 1 }, (_none, index) => ({ ...sound, index })),
      {},
      1_000,
    ],
    ['DURATION_TOO_LONG', [picture], { duration: LIMITS.durationS + 1 }, 10 ** 9],
    ['DURATION_IMPLAUSIBLE', [picture], { duration: 40_000 }, 10_000],
  ])('refuses as %s', (type, streams, format, bytes) => {
    let thrown: unknown = null;
    try {
      read(streams, format, bytes);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(MediaRefused);
    expect(thrown).toMatchObject({ type, retryable: false, source: 'client' });
  });
});
