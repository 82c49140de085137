// One API route as data: the router and the OpenAPI document are both made from these, so they cannot disagree.
import type { z } from 'zod';
import { NotFound, RequestInvalid } from './errors.ts';

/** A request as the router hands it over, unparsed. */
export type RawCall = {
  params: Record<string, string | undefined>;
  body: unknown;
  query: unknown;
  ifMatch: string | null;
  requestId: string;
};
export type Call<B, Q> = Omit<RawCall, 'body' | 'query'> & {
  body: B;
  query: Q;
  /** The body of an endpoint with `raw`; else empty. */
  bytes: Buffer;
};
/** `data` goes into the envelope; `nextCursor` makes it a list. */
export type Answer<R> = { data: R; etag?: string; nextCursor?: string | null };

export type Method = 'get' | 'post' | 'put' | 'patch' | 'delete';
type Described = {
  method: Method;
  /** Express path; its `:names` are the path parameters. */
  path: string;
  /** operationId, unique. */
  operation: string;
  tag: string;
  summary: string;
  status: 200 | 201 | 204;
  /** Statuses of refusals beside 401, 422 and 500. */
  refusals?: number[];
  /** No token needed. */
  isOpen?: boolean;
  /** The answer is not wrapped in `data`. */
  isBare?: boolean;
  /** The body is a file, no JSON. */
  raw?: { types: string[]; maxBytes: number };
};
export type Endpoint = Described & {
  bodySchema: z.ZodType | null;
  querySchema: z.ZodType | null;
  /** Null: 204. */
  responseSchema: z.ZodType | null;
  handle(call: RawCall): Promise<Answer<unknown>>;
};

/**
 * Parses what came from outside.
 * @throws RequestInvalid naming every fault with its field
 */
export function parseInput<S extends z.ZodType>(schema: S, given: unknown): z.output<S> {
  const result = schema.safeParse(given);
  if (result.success) return result.data;
  throw new RequestInvalid(
    result.error.issues.map((issue) => `${issue.path.length > 0 ? `${issue.path.join('.')}: ` : ''}${issue.message}`),
  );
}

/** An id from the path. @throws NotFound for one that cannot exist */
export function idIn<S extends z.ZodType>(
  call: Pick<RawCall, 'params'>,
  name: string,
  schema: S,
  what: string,
): z.output<S> {
  const parsed = schema.safeParse(call.params[name]);
  if (!parsed.success) throw new NotFound(what);
  return parsed.data;
}

/** Makes an endpoint whose handler sees parsed types; a missing body counts as `{}`. Answers are stripped to their schema. */
export function endpoint<B extends z.ZodType, Q extends z.ZodType, R extends z.ZodType>(
  spec: Described & {
    body?: B;
    query?: Q;
    response?: R;
    /** Of each element, when the answer is a list. */
    handle: (call: Call<z.output<B>, z.output<Q>>) => Promise<Answer<z.input<R> | z.input<R>[] | null>>;
  },
): Endpoint {
  const { body, query, response, handle, ...described } = spec;
  return {
    ...described,
    bodySchema: body ?? null,
    querySchema: query ?? null,
    responseSchema: response ?? null,
    async handle(raw) {
      const answer = await handle({
        ...raw,
        body: (body ? parseInput(body, raw.body ?? {}) : undefined) as z.output<B>,
        query: (query ? parseInput(query, raw.query) : undefined) as z.output<Q>,
        bytes: Buffer.isBuffer(raw.body) ? raw.body : Buffer.alloc(0),
      });
      if (!response || answer.data === null) return answer;
      const data = Array.isArray(answer.data)
        ? answer.data.map((item) => response.parse(item))
        : response.parse(answer.data);
      return { ...answer, data };
    },
  };
}
