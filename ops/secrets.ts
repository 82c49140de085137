// DATA_DIR/secrets.json (mode 0600): what the first start makes by chance because no setting gave it. No default secrets anywhere.
import { chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { randomText } from '../platform/contract/ids.ts';
import { codeOf } from '../platform/runtime/errors.ts';

const Secrets = z.object({
  admin_token: z.string(),
  internal_secret: z.string(),
  redis_password: z.string(),
  minio_user: z.string(),
  minio_password: z.string(),
});
export type Secrets = z.infer<typeof Secrets>;

const newAdminToken = (): string => `admin:${randomText(40)}`;
const pathOf = (dataDir: string): string => join(dataDir, 'secrets.json');

/** @returns the secrets, and whether this call made them (then the admin token is shown, once) */
export async function loadSecrets(dataDir: string): Promise<{ secrets: Secrets; isNew: boolean }> {
  try {
    return { secrets: Secrets.parse(JSON.parse(await readFile(pathOf(dataDir), 'utf8'))), isNew: false };
  } catch (thrown) {
    if (codeOf(thrown) !== 'ENOENT') throw thrown;
  }
  const secrets = {
    admin_token: newAdminToken(),
    internal_secret: randomText(48),
    redis_password: randomText(40),
    minio_user: `hw${randomText(18)}`,
    minio_password: randomText(40),
  };
  await save(dataDir, secrets);
  return { secrets, isNew: true };
}

/** Replaces the admin token; the old one is refused from the next start of the api on. */
export async function resetAdminToken(dataDir: string): Promise<string> {
  const { secrets } = await loadSecrets(dataDir);
  const token = newAdminToken();
  await save(dataDir, { ...secrets, admin_token: token });
  return token;
}

async function save(dataDir: string, secrets: Secrets): Promise<void> {
  await mkdir(dataDir, { recursive: true });
  const path = pathOf(dataDir);
  await writeFile(`${path}.new`, `${JSON.stringify(secrets, null, 2)}\n`, { mode: 0o600 });
  await chmod(`${path}.new`, 0o600);
  await rename(`${path}.new`, path);
}
