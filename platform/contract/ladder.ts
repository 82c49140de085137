// The adaptive ladder: which renditions a source gets. Never upscaled; the same rule for uploads and live.
export type Rung = {
  /** Lines of the encoded picture; names the rendition (`v720`). */
  height: number;
  width: number;
  /** Target and ceiling. Unit: bit/s. */
  bitrateBps: number;
  maxrateBps: number;
};

/** Heights with their bit rates at 30 fps, H.264. Unit: bit/s. */
export const LADDER = [
  { height: 1080, bitrateBps: 4_500_000, maxrateBps: 4_950_000 },
  { height: 720, bitrateBps: 2_500_000, maxrateBps: 2_750_000 },
  { height: 480, bitrateBps: 1_200_000, maxrateBps: 1_320_000 },
  { height: 360, bitrateBps: 700_000, maxrateBps: 770_000 },
  { height: 240, bitrateBps: 350_000, maxrateBps: 385_000 },
] as const;

const even = (value: number): number => Math.max(2, 2 * Math.round(value / 2));

/**
 * Rungs for a displayed picture of this size, highest first. The short side decides, so that a portrait phone clip gets
 * the same quality as a landscape one; widths and heights are even (4:2:0). A source below the lowest rung gets one rung
 * of its own size.
 * @param width displayed pixels, after rotation and with square pixels
 * @param height displayed pixels
 */
export function ladderFor(width: number, height: number, limit = LADDER.length): Rung[] {
  const short = Math.min(width, height);
  const rungs: Rung[] = LADDER.filter((step) => step.height <= short).map((step) => ({
    height: even((height * step.height) / short),
    width: even((width * step.height) / short),
    bitrateBps: step.bitrateBps,
    maxrateBps: step.maxrateBps,
  }));
  const lowest = LADDER[LADDER.length - 1];
  if (rungs.length === 0 && lowest !== undefined) {
    rungs.push({
      width: even(width),
      height: even(height),
      bitrateBps: lowest.bitrateBps,
      maxrateBps: lowest.maxrateBps,
    });
  }
  return rungs.slice(Math.max(0, rungs.length - limit));
}

/** Bit rate of every audio rendition (AAC-LC, 48 kHz, stereo). Unit: bit/s. */
export const AUDIO_BITRATE_BPS = 128_000;
export const AUDIO_SAMPLE_RATE = 48_000;
