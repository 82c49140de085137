// Health check of a container: exit code 0 when the role on this host says that it is ready.
const port = process.env.HEADWATER_METRICS_PORT || '9100';
const answer = await fetch(`http://127.0.0.1:${port}/readyz`, { signal: AbortSignal.timeout(2_500) }).catch(() => null);
process.exit(answer?.ok ? 0 : 1);
