// A body on its way to one viewer, over any kind of connection: at the viewer's pace, cut when it breaks off, let go when nobody reads it.
import { once } from 'node:events';
import type { Writable } from 'node:stream';
import type { EdgeAnswer } from './messages.ts';

/**
 * Writes a body that grows while it is sent, and ends the sink.
 * @param cut ends the sink short when the body breaks off: the length is announced, so a cut says the truth
 */
export async function pump(body: AsyncIterable<Buffer>, sink: Writable, cut: () => void): Promise<void> {
  const gone = new AbortController();
  const leave = () => gone.abort();
  sink.once('close', leave);
  try {
    for await (const chunk of body) {
      if (sink.destroyed) return;
      if (!sink.write(chunk)) await once(sink, 'drain', { signal: gone.signal });
    }
    sink.end();
  } catch {
    // Either the viewer left or the object broke off.
    cut();
  } finally {
    sink.off('close', leave);
  }
}

/** The viewer left before the first byte. */
export async function letGo({ body }: EdgeAnswer): Promise<void> {
  if (body !== null && !Buffer.isBuffer(body)) await body[Symbol.asyncIterator]().return?.();
}
