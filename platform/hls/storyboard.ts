// Pictures of broadcasts and storyboards: which segments have a picture, and WebVTT whose cues name a rectangle of a sheet, cut for clips.

/** Media from one live picture to the next. Unit: s. */
export const PICTURE_EVERY_S = 10;

/** Segments whose number is a multiple of this have a live picture, and the first one of a broadcast has. */
export const pictureStep = (targetDurationS: number): number =>
  Math.max(1, Math.round(PICTURE_EVERY_S / targetDurationS));

const CUE = /^(\d{2,}):(\d{2}):(\d{2})\.(\d{3}) --> (\d{2,}):(\d{2}):(\d{2})\.(\d{3})/;

/**
 * The part of a storyboard that a clip shows, on the clip's own clock.
 * @param text WebVTT; each cue is one line of times and the lines of its payload
 * @param startS where the clip begins in what the storyboard is of. Unit: s
 * @param durationS length of the clip. Unit: s
 * @returns WebVTT with the cues that overlap the clip, cut to it
 * Source: WebVTT (W3C), section 4; the payload is kept as it is.
 */
export function cutStoryboard(text: string, startS: number, durationS: number): string {
  const blocks: string[] = ['WEBVTT'];
  for (const block of text.split(/\r?\n\r?\n/)) {
    const lines = block.split(/\r?\n/);
    const at = lines.findIndex((line) => CUE.test(line));
    const times = CUE.exec(lines[at] ?? '');
    if (times === null) continue;
    const numbers = times.slice(1).map(Number);
    const from = Math.max(0, secondsOf(numbers.slice(0, 4)) - startS);
    const to = Math.min(durationS, secondsOf(numbers.slice(4)) - startS);
    if (to - from < 0.001) continue;
    blocks.push(
      [`${vttTime(from)} --> ${vttTime(to)}`, ...lines.slice(at + 1).filter((line) => line !== '')].join('\n'),
    );
  }
  return `${blocks.join('\n\n')}\n`;
}

const secondsOf = ([hours = 0, minutes = 0, whole = 0, millis = 0]: readonly number[]): number =>
  hours * 3_600 + minutes * 60 + whole + millis / 1_000;

/** `HH:MM:SS.mmm` */
export function vttTime(value: number): string {
  const millis = Math.round(value * 1_000);
  const two = (part: number): string => String(part).padStart(2, '0');
  const [hours, minutes, rest] = [Math.floor(millis / 3_600_000), Math.floor(millis / 60_000) % 60, millis % 60_000];
  return `${two(hours)}:${two(minutes)}:${two(Math.floor(rest / 1_000))}.${String(rest % 1_000).padStart(3, '0')}`;
}
