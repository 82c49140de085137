// A self-signed certificate as an operator would make one, for tests of TLS ports.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export type CertificateFiles = { cert: string; key: string };

/**
 * Makes an EC certificate for localhost, valid for ten days; files of the same name are replaced.
 * @param folder where `{name}.crt` and `{name}.key` go
 * @param name also its common name
 */
export async function makeCertificate(folder: string, name: string): Promise<CertificateFiles> {
  const files = { cert: join(folder, `${name}.crt`), key: join(folder, `${name}.key`) };
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const names = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
  await run('openssl', ['req', '-x509', ...curve, ...names, '-days', '10', '-keyout', files.key, '-out', files.cert]);
  return files;
}
