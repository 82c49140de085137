// One racing process of the storage suite: adds 1 to a shared record again and again under If-Match, and tries to be first at new keys.
// Arguments: JSON of StorageSettings, record key, increments, prefix of keys to be first at, number of those keys.
// Prints JSON {added, firsts}.
import { openStorage } from '../../platform/adapters/open-storage.ts';
import { ObjectConflict, type PutCondition, type StorageSettings } from '../../platform/adapters/storage.ts';
import type { ObjectKey } from '../../platform/contract/object-keys.ts';
import { silentLogger } from '../../platform/runtime/log.ts';

const [settings = '', record = '', increments = '0', prefix = '', keys = '0'] = process.argv.slice(2);
const storage = openStorage(JSON.parse(settings) as StorageSettings, silentLogger);

async function tryPut(key: string, text: string, condition: PutCondition): Promise<boolean> {
  const body = Buffer.from(text);
  try {
    await storage.put(key as ObjectKey, body, { bytes: body.length, contentType: 'application/json', condition });
    return true;
  } catch (thrown) {
    if (thrown instanceof ObjectConflict) return false;
    throw thrown;
  }
}

let added = 0;
while (added < Number(increments)) {
  const { body, etag } = await storage.read(record as ObjectKey);
  const count = (JSON.parse(body.toString()) as { count: number }).count;
  // The process id makes equal counts of two racers different bytes.
  if (await tryPut(record, JSON.stringify({ count: count + 1, by: process.pid }), { ifMatch: etag })) added += 1;
}
let firsts = 0;
for (let i = 0; i < Number(keys); i += 1) {
  if (await tryPut(`${prefix}${i}.json`, JSON.stringify({ by: process.pid }), { ifNoneMatch: '*' })) firsts += 1;
}
await storage.close();
process.stdout.write(JSON.stringify({ added, firsts }));
