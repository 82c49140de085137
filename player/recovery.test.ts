// Remedies grow with the trouble and start over once media plays.
import { describe, expect, it } from 'vitest';
import { Recovery } from './recovery.ts';

describe('Recovery', () => {
  it('recovers, swaps the audio codec, then rebuilds when media errors come close together', () => {
    const recovery = new Recovery();
    expect(recovery.remedy('media', 0).action).toBe('recover');
    expect(recovery.remedy('media', 1_000).action).toBe('swap');
    expect(recovery.remedy('media', 2_000).action).toBe('rebuild');
  });

  it('takes media errors far apart for separate troubles', () => {
    const recovery = new Recovery();
    recovery.remedy('media', 0);
    expect(recovery.remedy('media', 60_000).action).toBe('recover');
  });

  it('restarts loading at once, then with growing pauses that have a ceiling', () => {
    const recovery = new Recovery();
    const waits = Array.from({ length: 8 }, (_, index) => recovery.remedy('network', index).afterMs);
    expect(waits).toEqual([0, 250, 500, 1_000, 2_000, 4_000, 4_000, 4_000]);
  });

  it('begins from the mildest pause after media played', () => {
    const recovery = new Recovery();
    recovery.remedy('network', 0);
    recovery.remedy('network', 1);
    recovery.played();
    expect(recovery.remedy('network', 2)).toEqual({ action: 'restart', afterMs: 0 });
  });

  it('rebuilds after errors of any other kind', () => {
    expect(new Recovery().remedy('other', 0).action).toBe('rebuild');
  });
});
