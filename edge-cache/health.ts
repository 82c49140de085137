// /healthz and /readyz on the viewers' port, for load balancers in front of the edges.
import type { EdgeAnswer, EdgeRequest } from './messages.ts';
import { textReply } from './replies.ts';

/**
 * @param reasons empty: ready
 * @returns null when the path is another
 */
export function healthAnswer(request: EdgeRequest, path: string, reasons: () => string[]): EdgeAnswer | null {
  if (path === '/healthz') return textReply(request, 'health', 'local', 200, 'ok');
  if (path !== '/readyz') return null;
  const why = reasons();
  return textReply(
    request,
    'health',
    'local',
    why.length === 0 ? 200 : 503,
    why.length === 0 ? 'ready' : why.join('\n'),
  );
}
