// The raw listener behaves as the one over node:http does.

import { unseenMetrics } from '../test/support/edge-world.ts';
import { http1Suite } from '../test/support/http1-suite.ts';
import { createHttp1Server } from './http1-listener.ts';

http1Suite((engine, isDraining, report) =>
  createHttp1Server({
    engine,
    isDraining,
    report,
    metrics: unseenMetrics(),
    limits: { connections: 100, perAddress: 0 },
  }),
);
