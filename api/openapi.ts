// OpenAPI 3.1 document from the endpoint table. Pure.
import { z } from 'zod';
import type { Endpoint } from './endpoint.ts';
import { ProblemView } from './schemas.ts';

type Json = Record<string, unknown>;

const REFUSALS: Record<number, string> = {
  401: 'No token, or a wrong one.',
  404: 'No such thing.',
  409: 'Its state does not allow this.',
  412: 'If-Match names an older version.',
  413: 'More bytes than allowed.',
  422: 'The body or query does not fit; `messages` names every fault.',
  428: 'If-Match is missing.',
  507: 'Too little disk space.',
};

const jsonSchema = (schema: z.ZodType, io: 'input' | 'output'): Json => {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, {
    io,
    unrepresentable: 'any',
    target: 'draft-2020-12',
  });
  return rest;
};

/** `/a/:b` -> `/a/{b}` */
export const templateOf = (path: string): string => path.replace(/:([a-z_]+)/g, '{$1}');

function parametersOf(item: Endpoint): Json[] {
  const inPath = [...item.path.matchAll(/:([a-z_]+)/g)].map((match) => ({
    name: match[1],
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));
  const query = item.querySchema ? jsonSchema(item.querySchema, 'input') : {};
  const inQuery = Object.entries((query['properties'] ?? {}) as Record<string, Json>).map(([name, schema]) => ({
    name,
    in: 'query',
    required: false,
    schema,
  }));
  const ifMatch =
    item.method === 'patch'
      ? [{ name: 'If-Match', in: 'header', required: true, schema: { type: 'string' }, description: 'ETag of GET.' }]
      : [];
  return [...inPath, ...inQuery, ...ifMatch];
}

function answerSchema(item: Endpoint): Json | null {
  if (!item.responseSchema) return null;
  const data = jsonSchema(item.responseSchema, 'output');
  if (item.isBare) return data;
  const isList = item.operation.startsWith('list');
  return {
    type: 'object',
    required: isList ? ['data', 'next_cursor'] : ['data'],
    properties: isList ? { data: { type: 'array', items: data }, next_cursor: { type: ['string', 'null'] } } : { data },
  };
}

function requestBodyOf(item: Endpoint): Json {
  if (item.raw !== undefined) {
    const content = Object.fromEntries(item.raw.types.map((type) => [type, { schema: { contentMediaType: type } }]));
    return { requestBody: { required: true, content } };
  }
  if (item.bodySchema === null) return {};
  return { requestBody: { content: { 'application/json': { schema: jsonSchema(item.bodySchema, 'input') } } } };
}

function operationOf(item: Endpoint): Json {
  const schema = answerSchema(item);
  const success: Json = { description: item.status === 204 ? 'Done.' : 'As asked.' };
  if (schema) success['content'] = { 'application/json': { schema } };
  const takesInput = item.bodySchema !== null || item.querySchema !== null || item.raw !== undefined;
  const statuses = [...(item.isOpen ? [] : [401]), ...(takesInput ? [422] : []), ...(item.refusals ?? [])].sort();
  const refusals = statuses.map((status) => [
    String(status),
    {
      description: REFUSALS[status] ?? 'Refused.',
      content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
    },
  ]);
  return {
    operationId: item.operation,
    tags: [item.tag],
    summary: item.summary,
    ...(item.isOpen ? { security: [] } : {}),
    parameters: parametersOf(item),
    ...requestBodyOf(item),
    responses: { [String(item.status)]: success, ...Object.fromEntries(refusals) },
  };
}

/**
 * The document of these endpoints.
 * Source: OpenAPI Specification 3.1.0.
 * @param publicUrl address of the api as clients see it
 */
export function openApiDocument(endpoints: Endpoint[], publicUrl: string): Json {
  const paths: Record<string, Json> = {};
  for (const item of endpoints) {
    const path = templateOf(item.path);
    paths[path] = { ...paths[path], [item.method]: operationOf(item) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Headwater API',
      version: '1',
      description: 'Bodies are JSON; answers are wrapped in `data`; errors are problem documents (RFC 9457).',
    },
    servers: [{ url: publicUrl }],
    security: [{ token: [] }],
    tags: [...new Set(endpoints.map((item) => item.tag))].map((name) => ({ name })),
    paths,
    components: {
      securitySchemes: { token: { type: 'http', scheme: 'basic', description: 'Token id and secret.' } },
      schemas: { Problem: jsonSchema(ProblemView, 'output') },
    },
  };
}
