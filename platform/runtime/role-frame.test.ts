// The frame that roles share, over parts that only note what is asked of them.
import { expect, test } from 'vitest';
import type { NodeId } from '../contract/ids.ts';
import { NodeInfo } from '../contract/nodes.ts';
import type { ServiceContext } from './lifecycle.ts';
import { silentLogger } from './log.ts';
import { createMetrics } from './metrics.ts';
import { asService, listenerPart, newRoleState, nodeInfoOf } from './role-frame.ts';

const context = (): ServiceContext => ({
  role: 'origin',
  node: 'n1' as NodeId,
  log: silentLogger,
  metrics: createMetrics(false),
});

test('a service tells its state before its parts start and drain', async () => {
  const state = newRoleState('http://public');
  const seen: string[] = [];
  const note = (what: string) => async () => {
    seen.push(`${what} ${state.startedAt > 0} ${state.isDraining}`);
  };
  const service = asService({ start: note('start'), drain: note('drain'), close: note('close') }, state);
  await service.start();
  await service.drain?.();
  await service.close();
  expect(seen).toEqual(['start true false', 'drain true true', 'close true true']);
  expect(service.addresses()).toEqual({ url: '', public_url: 'http://public', private_url: '' });
});

test('the registry entry follows the state', () => {
  const state = newRoleState();
  expect(nodeInfoOf(context(), state, {})).toMatchObject({ role: 'origin', state: 'healthy', public_url: null });
  Object.assign(state, { url: 'http://h:1', privateUrl: 'http://h:2', startedAt: 7, isDraining: true });
  expect(nodeInfoOf(context(), state, { requests: 3 })).toMatchObject({
    id: 'n1',
    url: 'http://h:1',
    private_url: 'http://h:2',
    state: 'draining',
    started_at: 7,
    pid: process.pid,
    load: { requests: 3 },
  });
  expect(Object.keys(NodeInfo.shape)).toEqual(expect.arrayContaining(Object.keys(nodeInfoOf(context(), state, {}))));
});

test('a listener tells its address when it is open, drains and closes', async () => {
  const seen: string[] = [];
  const part = listenerPart(
    'main listener',
    {
      start: async () => 8090,
      drain: async () => void seen.push('drained'),
      close: async () => void seen.push('closed'),
    },
    'origin-1',
    (url, port) => seen.push(`${url} ${port}`),
  );
  expect(part.name).toBe('main listener');
  await part.component.start();
  await part.component.drain?.();
  await part.component.close();
  expect(seen).toEqual(['http://origin-1:8090 8090', 'drained', 'closed']);
});

test('a listener that needs no drain has none; one that fails to open tells nothing', async () => {
  const seen: string[] = [];
  const failing = { start: () => Promise.reject(new Error('taken')), close: async () => undefined };
  const part = listenerPart('private listener', failing, 'h', (url) => seen.push(url));
  await expect(part.component.start()).rejects.toThrow('taken');
  await part.component.drain?.();
  expect(seen).toEqual([]);
});
