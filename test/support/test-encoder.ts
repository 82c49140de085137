// An encoder whose pictures are numbered texts: what an ingest does with them can be read off its ring.
import { pictureTag, sendHeaders } from './ingest-service.ts';
import { connectRtmp, publishLikeObs, type RtmpClient } from './rtmp-client.ts';

/** Unit: ms. */
export const FRAME_MS = 50;
export const GOP_MS = 500;

/** An encoder that sends a numbered picture each 50 ms, a key frame each 500 ms. */
export class TestEncoder {
  readonly client: RtmpClient;
  private readonly name: string;
  private readonly startedAt = performance.now();
  private sent = 0;
  private timer: NodeJS.Timeout;

  private constructor(client: RtmpClient, name: string) {
    this.client = client;
    this.name = name;
    sendHeaders(client);
    this.timer = setInterval(() => this.send(), FRAME_MS / 2);
  }

  /** Rejects when it is refused. @param name goes into each picture: `{name} {number}` */
  static async start(rtmpPort: number, key: string, name: string): Promise<TestEncoder> {
    const client = await connectRtmp(rtmpPort);
    await publishLikeObs(client, rtmpPort, key);
    return new TestEncoder(client, name);
  }

  /** What is due by the clock: a busy machine delays pictures, it leaves none out. */
  private send(): void {
    while (performance.now() - this.startedAt >= this.sent * FRAME_MS) {
      const at = this.sent * FRAME_MS;
      this.client.tag(pictureTag(at, `${this.name} ${this.sent}`, at % GOP_MS === 0));
      this.sent += 1;
    }
  }

  /** The connection stays; nothing comes. */
  fallSilent(): void {
    clearInterval(this.timer);
  }

  async cut(): Promise<void> {
    clearInterval(this.timer);
    await this.client.destroy();
  }
}
