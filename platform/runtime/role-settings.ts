// What several roles pick from the settings alike; the rest of each role's config stands in its own config.ts.
import { hostname } from 'node:os';
import { type Picked, variableOf } from '../contract/settings.ts';
import { SettingsInvalid } from './errors.ts';

const ANY_ADDRESS = ['0.0.0.0', '::'];

/**
 * The secret that roles show each other. Only a role needs it, so the table has no default for it.
 * @throws SettingsInvalid without INTERNAL_SECRET: no role answers just anybody
 */
export function internalSecretOf(settings: Picked<'INTERNAL_SECRET'>): string {
  if (settings.INTERNAL_SECRET !== undefined) return settings.INTERNAL_SECRET;
  throw new SettingsInvalid([
    {
      variable: variableOf('INTERNAL_SECRET'),
      message: 'is required: the same 32 characters or more for every role (`npm start` makes one)',
    },
  ]);
}

/** Host name by which other roles reach this one: as set, else the address it listens on, else (on every address) the machine's name. */
export const advertisedHostOf = (settings: Picked<'PRIVATE_HOST' | 'PRIVATE_BIND'>): string =>
  settings.PRIVATE_HOST ?? (ANY_ADDRESS.includes(settings.PRIVATE_BIND) ? hostname() : settings.PRIVATE_BIND);

type StorageSetting =
  | 'STORAGE'
  | 'DATA_DIR'
  | 'S3_ENDPOINT'
  | 'S3_REGION'
  | 'S3_BUCKET'
  | 'S3_ACCESS_KEY'
  | 'S3_SECRET_KEY';

/** What openStorage() needs, and no other secret. */
export const storageSettingsOf = (settings: Picked<StorageSetting>): Picked<StorageSetting> => ({
  STORAGE: settings.STORAGE,
  DATA_DIR: settings.DATA_DIR,
  S3_ENDPOINT: settings.S3_ENDPOINT,
  S3_REGION: settings.S3_REGION,
  S3_BUCKET: settings.S3_BUCKET,
  S3_ACCESS_KEY: settings.S3_ACCESS_KEY,
  S3_SECRET_KEY: settings.S3_SECRET_KEY,
});
