// What the tests use of m3u8-parser, which ships without types.
declare module 'm3u8-parser' {
  export type Segment = {
    uri: string;
    duration: number;
    timeline: number;
    discontinuity?: boolean;
    gap?: boolean;
    map?: { uri: string };
    dateTimeString?: string;
    programDateTime?: number;
    parts?: Part[];
  };
  export type Part = { uri: string; duration: number; independent?: boolean; gap?: boolean };
  export type Manifest = {
    version: number;
    targetDuration: number;
    mediaSequence: number;
    discontinuitySequence: number;
    discontinuityStarts: number[];
    playlistType?: 'VOD' | 'EVENT';
    endList?: boolean;
    independentSegments?: boolean;
    segments: Segment[];
    serverControl?: Record<string, number | boolean>;
    partInf?: { partTarget: number };
    skip?: { skippedSegments: number };
    renditionReports?: { uri: string; lastMsn: number; lastPart?: number }[];
    /** The segment that is still open. */
    preloadSegment?: Partial<Segment> & { preloadHints?: { type: string; uri: string }[] };
    playlists?: {
      uri: string;
      timeline: number;
      attributes: {
        BANDWIDTH: number;
        'AVERAGE-BANDWIDTH': string;
        CODECS: string;
        AUDIO?: string;
        'PATHWAY-ID'?: string;
        'FRAME-RATE'?: number;
        RESOLUTION?: { width: number; height: number };
      };
    }[];
    mediaGroups?: {
      AUDIO: Record<string, Record<string, { default: boolean; autoselect: boolean; uri: string; channels?: string }>>;
    };
  };
  export class Parser {
    manifest: Manifest;
    on(event: 'warn', listener: (event: { message: string }) => void): void;
    push(text: string): void;
    end(): void;
  }
}
