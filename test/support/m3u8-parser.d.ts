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
  };
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
    playlists?: {
      uri: string;
      timeline: number;
      attributes: {
        BANDWIDTH: number;
        'AVERAGE-BANDWIDTH': string;
        CODECS: string;
        AUDIO?: string;
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
