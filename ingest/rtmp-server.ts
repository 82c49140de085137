// One RTMP connection: node-media-server's protocol and session under our own limits and callbacks. The one file that names the package.
// Its stock handlers trust the network; here every callback is ours, and whatever a peer sends ends its own connection at most.
import type { Socket } from 'node:net';
import logger from 'node-media-server/src/core/logger.js';
import Rtmp from 'node-media-server/src/protocol/rtmp.js';
import RtmpSession from 'node-media-server/src/session/rtmp_session.js';
import { codeOf, messageOf } from '../platform/runtime/errors.ts';
import type { Logger } from '../platform/runtime/log.ts';
import type { AddressGuard } from './address-guard.ts';
import { readAmf0 } from './amf0.ts';
import { PublishRefused, RtmpMalformed } from './errors.ts';
import type { FlvTag } from './flv-tag.ts';
import {
  applicationOf,
  type EndReason,
  FAREWELLS,
  keyOf,
  type Publication,
  type PublisherConnection,
  type PublisherGate,
  REFUSALS,
  RTMP_APP,
  RTMP_LIMITS,
} from './rtmp-protocol.ts';

// The package logs stream names, which are keys here, to stdout.
logger.log = () => undefined;

const TYPE = {
  chunkSize: 1,
  abort: 2,
  windowAck: 5,
  audio: 8,
  video: 9,
  data3: 15,
  command3: 17,
  data: 18,
  command: 20,
};
const HANDSHAKE_DONE = 3;
const GOODBYE_MS = 1_000;
const NO_BYTES = Buffer.alloc(0);
/** Acknowledged at least this often when the peer asks for nothing else. Unit: bytes. */
const ACK_WINDOW = { min: 64 * 1024, fallback: 2_500_000 };

/** What the guarded protocol reports. A throw from any of them ends the connection. */
type ProtocolEvents = {
  isPublishing(): boolean;
  /** @throws PublishRefused */
  publish(key: string): void;
  media(tag: FlvTag): void;
  finished(): void;
};

/** The package's chunk parser with limits in front of each allocation and each decode. */
class GuardedRtmp extends Rtmp {
  private readonly events: ProtocolEvents;
  private assemblyBytes = 0;
  private commands = 0;
  private isConnected = false;

  constructor(events: ProtocolEvents) {
    super();
    this.events = events;
  }

  override packetParse(): void {
    const fmt = this.byte(0) >> 6;
    const cid = this.chunkStreamId();
    const known = this.inPackets.get(cid);
    if (known === undefined) {
      if (fmt > 1) throw new RtmpMalformed('a chunk that continues nothing');
      if (this.inPackets.size >= RTMP_LIMITS.chunkStreams) throw new RtmpMalformed('too many chunk streams');
    } else if (known.bytes > 0 && fmt !== 3) throw new RtmpMalformed('a message header inside a message');
    const packet = known ?? {
      header: { fmt, cid, timestamp: 0, length: 0, type: 0, stream_id: 0 },
      clock: 0,
      payload: NO_BYTES,
      capacity: 0,
      bytes: 0,
    };
    this.inPackets.set(cid, packet);
    this.parserPacket = packet;
    packet.header.fmt = fmt;
    this.chunkMessageHeaderRead();
  }

  /** The package's own formula for the three-byte form is wrong. Source: RTMP 1.0, 5.3.1.1. */
  private chunkStreamId(): number {
    if (this.parserBasicBytes === 3) return 64 + this.byte(1) + this.byte(2) * 256;
    return this.parserBasicBytes === 2 ? 64 + this.byte(1) : this.byte(0) & 0x3f;
  }

  private byte(at: number): number {
    return this.parserBuffer[at] ?? 0;
  }

  /** Called before the first byte of each message. */
  override packetAlloc(): void {
    const packet = this.parserPacket;
    const { type, length } = packet.header;
    const isMedia = type === TYPE.audio || type === TYPE.video;
    const isData = type === TYPE.data || type === TYPE.data3;
    if ((isMedia || isData) && !this.events.isPublishing()) throw new RtmpMalformed('media before it may publish');
    if (!isMedia && length > (isData ? RTMP_LIMITS.dataBytes : RTMP_LIMITS.commandBytes))
      throw new RtmpMalformed(`a message of ${length} bytes`);
    // Timestamps wrap after 49.7 days; the package would drop everything from then on.
    packet.clock %= 2 ** 32;
    const before = packet.payload.length;
    super.packetAlloc();
    this.assemblyBytes += packet.payload.length - before;
    const limit = this.events.isPublishing() ? RTMP_LIMITS.assemblyBytes : RTMP_LIMITS.strangerBytes;
    if (this.assemblyBytes > limit) throw new RtmpMalformed('more than a connection may buffer');
  }

  override controlHandler(): void {
    const { header, payload } = this.parserPacket;
    if (header.length < 4) throw new RtmpMalformed('a cut control message');
    const value = payload.readUInt32BE(0);
    const { min, max } = RTMP_LIMITS.chunkBytes;
    if (header.type === TYPE.chunkSize && (value < min || value > max)) throw new RtmpMalformed('a wrong chunk size');
    const aborted = header.type === TYPE.abort ? this.inPackets.get(value) : undefined;
    if (aborted !== undefined) aborted.bytes = 0;
    super.controlHandler();
  }

  override invokeHandler(): void {
    this.commands += 1;
    if (this.commands > RTMP_LIMITS.commands) throw new RtmpMalformed('too many commands');
    const { header, payload } = this.parserPacket;
    const offset = header.type === TYPE.command3 ? 1 : 0;
    const [cmd, transId, cmdObj, streamName] = readAmf0(payload.subarray(offset, header.length));
    const message: Rtmp.RtmpInvoke = { cmd, transId, cmdObj, streamName };
    if (cmd === 'connect') this.onConnect(message);
    else if (cmd === 'createStream') this.onCreateStream(message);
    else if (cmd === 'publish') this.onPublish(message);
    else if (cmd === 'play') this.onPlay();
    else if (cmd === 'deleteStream') this.onDeleteStream();
    // releaseStream, FCPublish, FCUnpublish and what else encoders say asks for no answer.
  }

  override dataHandler(): void {
    const { header, payload, clock } = this.parserPacket;
    this.events.media({ type: header.type, timestamp: clock, body: payload.subarray(0, header.length) });
  }

  override onConnect(message: Rtmp.RtmpInvoke): void {
    const { cmdObj } = message;
    if (this.isConnected || typeof cmdObj !== 'object' || cmdObj === null) throw new RtmpMalformed('a wrong connect');
    const app = 'app' in cmdObj ? applicationOf(cmdObj.app) : null;
    if (app !== RTMP_APP) throw new PublishRefused('app');
    this.isConnected = true;
    // AMF3 is never agreed to: the library decodes AMF0 alone.
    super.onConnect({ ...message, cmdObj: { ...cmdObj, app, objectEncoding: 0 } });
  }

  override onPublish(message: Rtmp.RtmpInvoke): void {
    const key = keyOf(message.streamName);
    if (!this.isConnected || key === null || this.events.isPublishing()) throw new RtmpMalformed('a wrong publish');
    this.streamId = this.parserPacket.header.stream_id;
    try {
      this.events.publish(key);
    } catch (thrown) {
      const answer = thrown instanceof PublishRefused ? REFUSALS[thrown.reason] : null;
      if (answer !== null) this.sendStatusMessage(this.streamId, 'error', answer.code, answer.description);
      throw thrown;
    }
    this.streamName = 'stream';
    this.respondPublish();
  }

  /** Tells a publisher why it is cut off. */
  farewell(description: string): void {
    this.sendStatusMessage(this.streamId ?? 1, 'error', 'NetStream.Publish.Rejected', description);
  }

  override onPlay(): void {
    throw new PublishRefused('play');
  }

  override onDeleteStream(): void {
    this.events.finished();
  }
}

/** What a session needs of the door. */
export type SessionDeps = {
  gate: PublisherGate;
  guard: AddressGuard;
  /** A publisher without a media message for this long is dropped. Unit: ms. */
  silenceMs: number;
  log: Logger;
};

/** Told to the door, once each. */
export type SessionProgress = {
  /** The handshake is done. */
  greeted: () => void;
  /** It was let in. */
  publishing: () => void;
};

/** One connection from accept to close. */
export class PublisherSession extends RtmpSession implements PublisherConnection {
  readonly remote: string;
  /** When the connection is given up, on the steady clock. Unit: ms. */
  deadline = performance.now() + RTMP_LIMITS.handshakeMs;
  private phase: 'handshake' | 'command' | 'publishing' | 'over' = 'handshake';
  private publication: Publication | null = null;
  private acknowledged = 0;
  private readonly address: string;
  private readonly guarded: GuardedRtmp;
  private readonly deps: SessionDeps;
  private readonly progress: SessionProgress;

  constructor(socket: Socket, deps: SessionDeps, progress: SessionProgress) {
    super(socket);
    this.deps = deps;
    this.progress = progress;
    this.address = socket.remoteAddress ?? 'unknown';
    this.remote = `${this.address}:${socket.remotePort ?? 0}`;
    this.guarded = new GuardedRtmp({
      isPublishing: () => this.phase === 'publishing',
      publish: (key) => this.publish(key),
      media: (tag) => this.media(tag),
      finished: () => this.finish(),
    });
    this.rtmp = this.guarded;
  }

  override onData = (data: Buffer): void => {
    if (this.phase === 'over') return;
    this.inBytes += data.length;
    try {
      const fault = this.rtmp.parserData(data);
      if (fault !== null) throw new RtmpMalformed(fault);
      this.afterData();
    } catch (thrown) {
      this.fail(thrown);
    }
  };

  override onOutput = (buffer: Buffer): void => {
    if (!this.socket.destroyed) this.socket.write(buffer);
  };

  override onClose = (): void => this.end('closed');
  override onError = (): void => undefined;
  // The package's own callbacks are never reached: the guarded protocol reports to us.
  override onConnect = (): void => undefined;
  override onPush = (): void => undefined;
  override onPlay = (): void => undefined;
  override onPacket = (): void => undefined;

  override close = (reason: EndReason = 'closed'): void => {
    const words = this.phase === 'publishing' ? FAREWELLS[reason] : undefined;
    this.end(reason);
    if (words === undefined) this.socket.destroy();
    else {
      this.guarded.farewell(words);
      this.hangUp();
    }
  };

  /** The time for what should have happened is over. */
  expire(): void {
    if (this.phase === 'handshake') this.deps.gate.turnedAway('handshake-timeout');
    if (this.phase === 'command') this.deps.gate.turnedAway('publish-timeout');
    this.close('silent');
  }

  private publish(key: string): void {
    const answer = this.deps.gate.admit(key, this);
    if (typeof answer === 'string') throw new PublishRefused(answer === 'key' ? this.wrongKey() : answer);
    this.publication = answer;
    this.phase = 'publishing';
    this.isPublisher = true;
    this.deadline = performance.now() + this.deps.silenceMs;
    this.progress.publishing();
  }

  private wrongKey(): 'key' | 'back-off' {
    const { guard, log } = this.deps;
    const now = performance.now();
    const wasBackedOff = guard.isBackedOff(this.address, now);
    if (!guard.wrongKey(this.address, now)) return 'key';
    if (!wasBackedOff) log.warn('too many wrong keys', { address: this.address });
    return 'back-off';
  }

  /** The peer said goodbye: it closes by itself, or is cut off a little later. */
  private finish(): void {
    this.end('finished');
    this.deadline = performance.now() + GOODBYE_MS;
  }

  private media(tag: FlvTag): void {
    if (this.phase !== 'publishing') return;
    this.deadline = performance.now() + this.deps.silenceMs;
    this.publication?.onTag(tag);
  }

  private afterData(): void {
    if (this.phase === 'handshake' && this.rtmp.handshakeState === HANDSHAKE_DONE) {
      this.phase = 'command';
      this.deadline = performance.now() + RTMP_LIMITS.publishMs;
      this.progress.greeted();
    }
    const window = Math.max(ACK_WINDOW.min, Math.min(this.rtmp.ackSize ?? ACK_WINDOW.fallback, ACK_WINDOW.fallback));
    if (this.phase !== 'over' && this.inBytes - this.acknowledged >= window) {
      this.acknowledged = this.inBytes;
      this.rtmp.sendACK(this.inBytes % 2 ** 32);
    }
    if (this.socket.writableLength > RTMP_LIMITS.unreadBytes)
      throw new RtmpMalformed('commands without reading answers');
  }

  private fail(thrown: unknown): void {
    if (this.phase === 'over') return;
    const wasPublishing = this.phase === 'publishing';
    const { gate, log } = this.deps;
    if (thrown instanceof PublishRefused) {
      // Of a back-off one line is enough.
      if (thrown.reason !== 'back-off') log.info('publisher refused', { reason: thrown.reason, remote: this.remote });
      gate.turnedAway(thrown.reason);
      this.end('closed');
      this.hangUp();
      return;
    }
    const isOurs = wasPublishing && !(thrown instanceof RtmpMalformed) && codeOf(thrown)?.startsWith('ERR_') !== true;
    if (isOurs) log.error('publisher dropped', { reason: 'internal', remote: this.remote, err: thrown });
    else log.info('publisher dropped', { reason: 'malformed', remote: this.remote, what: messageOf(thrown) });
    if (!wasPublishing) gate.turnedAway('malformed');
    this.close(isOurs ? 'internal' : 'malformed');
  }

  /** The answer leaves first; a peer that does not read it is cut off by the write's end or the deadline. */
  private hangUp(): void {
    this.deadline = performance.now();
    this.socket.pause();
    this.socket.write(NO_BYTES, () => this.socket.destroy());
  }

  private end(reason: EndReason): void {
    if (this.phase === 'over') return;
    this.phase = 'over';
    const { publication } = this;
    this.publication = null;
    publication?.onEnd(reason);
  }
}
