// What a media element has buffered.

/** What is read of a media element. */
export type Buffered = Pick<HTMLMediaElement, 'buffered' | 'currentTime'>;

/** End of the media that can be played from here without a hole; the play head itself when there is none. Unit: s. */
export function bufferedUntil({ buffered, currentTime }: Buffered): number {
  for (let index = 0; index < buffered.length; index += 1) {
    const isHere = buffered.start(index) <= currentTime + 0.1 && currentTime <= buffered.end(index);
    if (isHere) return buffered.end(index);
  }
  return currentTime;
}

/** Seconds buffered ahead of the play head. */
export const bufferedAhead = (media: Buffered): number => bufferedUntil(media) - media.currentTime;
