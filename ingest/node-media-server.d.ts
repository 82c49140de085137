// Types of the two node-media-server classes that rtmp-server.ts builds on; the package ships none. Source: node-media-server 4.4.3, src/.
declare module 'node-media-server/src/protocol/rtmp.js' {
  /** One chunk stream's message in assembly. */
  type RtmpPacket = {
    header: { fmt: number; cid: number; timestamp: number; length: number; type: number; stream_id: number };
    /** Timestamp of the message. Unit: ms. */
    clock: number;
    payload: Buffer;
    capacity: number;
    bytes: number;
  };
  /** An AMF0 command; what the fields hold is the peer's choice. */
  type RtmpInvoke = { cmd: unknown; transId: unknown; cmdObj: unknown; streamName: unknown };
  type AvPacket = { codec_type: number; dts: number; size: number; data: Buffer };

  class Rtmp {
    parserBuffer: Buffer;
    parserBasicBytes: number;
    parserPacket: RtmpPacket;
    inPackets: Map<number, RtmpPacket>;
    inChunkSize: number;
    handshakeState: number;
    ackSize?: number;
    streamApp?: string;
    streamName?: string;
    streamId?: number;
    onPacketCallback: (packet: AvPacket) => void;
    onOutputCallback: (buffer: Buffer) => void;
    /** @returns text of a fault, or null */
    parserData(buffer: Buffer): string | null;
    packetParse(): void;
    chunkMessageHeaderRead(): number;
    packetAlloc(): void;
    controlHandler(): void;
    invokeHandler(): void;
    dataHandler(): void;
    onConnect(message: RtmpInvoke): void;
    onCreateStream(message: RtmpInvoke): void;
    onPublish(message: RtmpInvoke): void;
    onPlay(message: RtmpInvoke): void;
    onDeleteStream(message: RtmpInvoke): void;
    respondPublish(): void;
    sendACK(bytes: number): void;
    sendStatusMessage(streamId: number, level: string, code: string, description: string): void;
  }
  namespace Rtmp {
    export { AvPacket, RtmpInvoke, RtmpPacket };
  }
  export = Rtmp;
}

declare module 'node-media-server/src/session/rtmp_session.js' {
  import type { Socket } from 'node:net';
  import type Rtmp from 'node-media-server/src/protocol/rtmp.js';

  class RtmpSession {
    constructor(socket: Socket);
    socket: Socket;
    rtmp: Rtmp;
    inBytes: number;
    isPublisher: boolean;
    run: () => void;
    onConnect: (request: unknown) => void;
    onPlay: () => void;
    onPush: () => void;
    onOutput: (buffer: Buffer) => void;
    onPacket: (packet: Rtmp.AvPacket) => void;
    onData: (data: Buffer) => void;
    onClose: () => void;
    onError: (error: Error) => void;
    close: () => void;
  }
  export = RtmpSession;
}

declare module 'node-media-server/src/core/logger.js' {
  const logger: { log: (message: string, level?: string) => void };
  export = logger;
}
