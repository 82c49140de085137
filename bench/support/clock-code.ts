// A clock that can be read back from a decoded picture: milliseconds as black and white squares along the top edge, with a check sum.

/** Squares in the row; the picture's width is divided by it. */
export const CLOCK_COLUMNS = 40;
const TIME_BITS = 28;
const CHECK_BITS = 4;
/** Columns left black on the left, so that a border of the picture never counts. */
const FIRST_COLUMN = 4;

/** Sum of the seven hexadecimal digits of the time, modulo 16. */
function checkOf(time: number): number {
  let sum = 5;
  for (let rest = time; rest > 0; rest = Math.floor(rest / 16)) sum += rest % 16;
  return sum % 16;
}

/** Milliseconds that fit: three days; both sides reduce their clock by this. */
export const CLOCK_PERIOD_MS = 2 ** TIME_BITS;

/** Bits of the row from left to right, times taken modulo CLOCK_PERIOD_MS. @param ms since the epoch */
export function clockBits(ms: number): boolean[] {
  const time = Math.floor(ms) % CLOCK_PERIOD_MS;
  const check = checkOf(time);
  const bits = Array.from({ length: TIME_BITS }, (_, bit) => Math.floor(time / 2 ** bit) % 2 === 1);
  for (let bit = 0; bit < CHECK_BITS; bit += 1) bits.push(Math.floor(check / 2 ** bit) % 2 === 1);
  return bits;
}

/**
 * Draws the row into the luma plane of a 4:2:0 picture and greys out its chroma.
 * @param frame planes Y, U, V one after another
 */
export function drawClock(frame: Uint8Array, width: number, height: number, ms: number): void {
  const side = width / CLOCK_COLUMNS;
  frame.fill(16, 0, width * side);
  for (const [bit, isOn] of clockBits(ms).entries()) {
    if (!isOn) continue;
    const x = Math.round((FIRST_COLUMN + bit) * side);
    for (let y = 0; y < side; y += 1) frame.fill(235, y * width + x, y * width + x + Math.round(side));
  }
  const luma = width * height;
  const chromaRow = width / 2;
  for (const plane of [luma, luma + luma / 4]) frame.fill(128, plane, plane + (chromaRow * side) / 2);
}

/**
 * Script for a page: samples the first video at each shown picture, into `window.clockSamples` as {now, burnt}, ms since the epoch.
 * Pictures whose check sum is wrong are counted in `window.clockFaults`.
 */
export const CLOCK_READER = `(() => {
  const video = document.querySelector('video');
  const canvas = document.createElement('canvas');
  canvas.width = ${CLOCK_COLUMNS};
  canvas.height = 1;
  const context = canvas.getContext('2d', { willReadFrequently: true });
  window.clockSamples = [];
  window.clockFaults = 0;
  const read = () => {
    const now = Date.now();
    const side = video.videoWidth / ${CLOCK_COLUMNS};
    context.imageSmoothingEnabled = false;
    for (let column = 0; column < ${CLOCK_COLUMNS}; column += 1) {
      context.drawImage(video, (column + 0.4) * side, side * 0.4, side * 0.2, side * 0.2, column, 0, 1, 1);
    }
    const pixels = context.getImageData(0, 0, ${CLOCK_COLUMNS}, 1).data;
    const bit = (index) => pixels[4 * (${FIRST_COLUMN} + index)] > 127 ? 1 : 0;
    let time = 0;
    let check = 5;
    for (let digit = 0; digit < ${TIME_BITS / 4}; digit += 1) {
      let value = 0;
      for (let i = 0; i < 4; i += 1) value += bit(digit * 4 + i) * 2 ** i;
      time += value * 16 ** digit;
      check += value;
    }
    let given = 0;
    for (let i = 0; i < ${CHECK_BITS}; i += 1) given += bit(${TIME_BITS} + i) * 2 ** i;
    if (given === check % 16) {
      const latency = (((now % ${CLOCK_PERIOD_MS}) - time) + ${CLOCK_PERIOD_MS}) % ${CLOCK_PERIOD_MS};
      window.clockSamples.push({ now, latency });
    } else window.clockFaults += 1;
    video.requestVideoFrameCallback(read);
  };
  video.requestVideoFrameCallback(read);
})()`;
