// When a pause is over, and what is told of it.
import { expect, it } from 'vitest';
import { silentLogger } from '../platform/runtime/log.ts';
import { DiskRest } from './disk-rest.ts';

it('a failing disk is told of once, its recovery once, and the next failure again', () => {
  let nowMs = 0;
  const told: string[] = [];
  const tell = (event: string) => void told.push(event);
  const rest = new DiskRest('writes', { ...silentLogger, warn: tell, info: tell }, () => nowMs);
  rest.worked();
  expect([rest.isOn, told.length]).toEqual([false, 0]);
  rest.begin(10, new Error('full'));
  expect(rest.isOn).toBe(true);
  nowMs = 10;
  expect(rest.isOn).toBe(false);
  rest.begin(10, new Error('still full'));
  expect(told).toEqual(['disk cache writes stopped']);
  nowMs = 20;
  rest.worked();
  rest.worked();
  rest.begin(10, new Error('full'));
  expect(told).toEqual(['disk cache writes stopped', 'disk cache writes go on', 'disk cache writes stopped']);
});
