import { expect, it } from 'vitest';
import { foreignShareOf, parseCoreTicks, parseProcess, processSeconds, treeOf, warningOf } from './cpu-time.ts';

const STAT = `cpu  1000 0 1000 9000 10 0 20 5 0 0
cpu0 100 10 50 800 7 3 20 4 0 0
cpu1 900 0 950 8200 3 0 0 1 0 0
intr 12345
`;

it('a core is busy with user, nice, system, irq and softirq; waiting and stolen time are not', () => {
  expect(parseCoreTicks(STAT, 0)).toEqual({ busy: 183, programs: 160, steal: 4, total: 994 });
});

it('a core that is not there is an error', () => {
  expect(() => parseCoreTicks(STAT, 2)).toThrow(/no core 2/);
});

it('a process is read past whatever stands in its name', () => {
  const stat = '77 (a (b) c) S 12 77 77 0 -1 4194560 1 2 3 4 250 50 9 9 20 0 11 0 1234 5678';
  expect(parseProcess(stat)).toEqual({ parent: 12, ticks: 300 });
});

it('a process that is gone has used nothing', () => {
  expect(processSeconds([2 ** 30])).toBe(0);
  expect(treeOf(2 ** 30)).toEqual([2 ** 30]);
});

it('what others did on the core is told loudly', () => {
  const use = { wallS: 10, busyS: 5, programsS: 4, clientShare: 0.5, stealS: 0 };
  expect(foreignShareOf({ ...use, serverS: 3 })).toBe(0.2);
  expect(warningOf(0.2)).toMatch(/WORTH NOTHING: 20 %/);
  // Interrupts are nobody's; other kernels charge the server with them.
  expect(foreignShareOf({ ...use, serverS: 4 })).toBe(0);
  expect(foreignShareOf({ ...use, serverS: 5.01 })).toBe(0);
  expect(warningOf(0.05)).toBe('');
});
