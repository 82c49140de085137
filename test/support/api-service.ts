// The api role inside the test's process, on free ports, over a real Redis and a real store.
import { pickApiConfig } from '../../api/config.ts';
import { createApi } from '../../api/service.ts';
import { type NodeId, newId } from '../../platform/contract/ids.ts';
import { parseSettings } from '../../platform/contract/settings.ts';
import type { Logger } from '../../platform/runtime/log.ts';
import { createMetrics, type Metrics } from '../../platform/runtime/metrics.ts';
import { AUTHORIZATION, recordingLogger, TEST_TOKEN } from './api-parts.ts';
import { freePort } from './ports.ts';

export type RunningApi = {
  url: string;
  logLines: string[];
  metrics: Metrics;
  log: Logger;
  /** JSON call with the token. */
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<ApiAnswer>;
  stop(): Promise<void>;
};
export type ApiAnswer = {
  status: number;
  headers: Headers;
  body: { data: Record<string, unknown>; [more: string]: unknown };
};

/** @param settings HEADWATER_* settings and REDIS_URL, as in the environment */
export async function startApi(settings: Record<string, string>): Promise<RunningApi> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const parsed = parseSettings({
    HEADWATER_ADMIN_TOKEN: TEST_TOKEN,
    HEADWATER_API_PORT: String(port),
    HEADWATER_BIND: '127.0.0.1',
    HEADWATER_PUBLIC_URL: url,
    HEADWATER_DISK_RESERVE_BYTES: '0',
    ...settings,
  });
  if ('faults' in parsed) throw new Error(JSON.stringify(parsed.faults));
  const logLines: string[] = [];
  const log = recordingLogger(logLines);
  const metrics = createMetrics(false);
  const service = createApi(pickApiConfig(parsed.settings), { role: 'api', node: newId<NodeId>(), log, metrics });
  await service.start();
  return {
    url,
    logLines,
    metrics,
    log,
    async call(method, path, body, headers = {}) {
      const answer = await fetch(`${url}${path}`, {
        method,
        headers: { authorization: AUTHORIZATION, ...headers },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await answer.text();
      return { status: answer.status, headers: answer.headers, body: text === '' ? { data: {} } : JSON.parse(text) };
    },
    async stop() {
      await service.drain?.();
      await service.close();
    },
  };
}
