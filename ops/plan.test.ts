// What each role of one machine is given beside the settings they share.
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseSettings } from '../platform/contract/settings.ts';
import { SettingsInvalid } from '../platform/runtime/errors.ts';
import { planRoles } from './plan.ts';

function diskFolders(env: Record<string, string>): (string | undefined)[] {
  const parsed = parseSettings({ HEADWATER_DATA_DIR: '/somewhere', ...env });
  if ('faults' in parsed) throw new SettingsInvalid(parsed.faults);
  return planRoles(parsed.settings)
    .filter(({ role }) => role === 'edge')
    .map(({ extra }) => extra['HEADWATER_EDGE_DISK_DIR']);
}

describe('the disk cache of an edge', () => {
  it('has a folder of its own in the data folder', () => {
    expect(diskFolders({})).toEqual(['/somewhere/edge-cache/edge-1', '/somewhere/edge-cache/edge-2']);
  });

  it('or in the folder that is set', () => {
    expect(diskFolders({ HEADWATER_EDGE_PORTS: '1', HEADWATER_EDGE_DISK_DIR: './fast' })).toEqual([
      resolve('fast/edge-1'),
    ]);
  });
});
