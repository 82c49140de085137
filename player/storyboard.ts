// Pictures for the seek bar: reads a WebVTT storyboard, whose cues name a sheet and a rectangle on it (`sheet.jpg#xywh=x,y,w,h`). Pure.

export type StoryPicture = {
  startS: number;
  endS: number;
  /** Address of the sheet, absolute. */
  url: string;
  x: number;
  y: number;
  width: number;
  height: number;
};

const TIMES = /^(?:(\d+):)?(\d{2}):(\d{2}\.\d{3})\s+-->\s+(?:(\d+):)?(\d{2}):(\d{2}\.\d{3})/;
const TARGET = /^(\S+?)#xywh=(?:pixel:)?(\d+),(\d+),(\d+),(\d+)$/;

const secondsOf = (h: string | undefined, m: string | undefined, s: string | undefined): number =>
  Number(h ?? 0) * 3_600 + Number(m ?? 0) * 60 + Number(s ?? 0);

/**
 * The storyboard's pictures in order of time; cues that are none are left out.
 * @param base address that relative sheet names stand beside
 * Source: WebVTT (W3C), media fragments URI 1.0 (4.2.2).
 */
export function parseStoryboard(text: string, base: string): StoryPicture[] {
  const pictures: StoryPicture[] = [];
  for (const block of text.replace(/\r\n?/g, '\n').split(/\n\n+/)) {
    const lines = block.split('\n');
    const at = lines.findIndex((line) => line.includes('-->'));
    const times = TIMES.exec(lines[at] ?? '');
    const target = TARGET.exec((lines[at + 1] ?? '').trim());
    if (times === null || target === null || !URL.canParse(target[1] ?? '', base)) continue;
    const [x = 0, y = 0, width = 0, height = 0] = target.slice(2).map(Number);
    pictures.push({
      startS: secondsOf(times[1], times[2], times[3]),
      endS: secondsOf(times[4], times[5], times[6]),
      url: new URL(target[1] ?? '', base).href,
      x,
      y,
      width,
      height,
    });
  }
  return pictures.sort((a, b) => a.startS - b.startS);
}

/** The picture that shows a moment: the last one that begins at or before it. */
export function pictureAt(pictures: readonly StoryPicture[], timeS: number): StoryPicture | null {
  let found: StoryPicture | null = null;
  for (const picture of pictures) {
    if (picture.startS > timeS) break;
    found = picture;
  }
  return found ?? pictures[0] ?? null;
}
