// The served OpenAPI document is valid in structure and names exactly the routes that the app answers.
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { Express } from 'express';
import request from 'supertest';
import { describe, expect, test } from 'vitest';
import { AUTHORIZATION, createApiParts } from '../test/support/api-parts.ts';
import { recordedBroadcast } from '../test/support/recorded-broadcast.ts';
import { templateOf } from './openapi.ts';

type Json = Record<string, unknown>;
type Operation = {
  operationId: string;
  parameters: { name: string; in: string; schema: Json }[];
  requestBody?: { content: Record<string, { schema: Json }> };
  responses: Record<string, { description: string; content?: Record<string, { schema: Json }> }>;
  security?: unknown[];
};
type Document = Json & { paths: Record<string, Record<string, Operation>> };

const served = async () =>
  (await request(createApiParts().app).get('/video/v1/openapi.json').expect(200)).body as Document;

/** `METHOD path` of each route below the API's prefixes, as express registered them. */
function registered(app: Express): string[] {
  type Layer = { route?: { path: string; methods: Record<string, boolean> } };
  const layers = (app.router as unknown as { stack: Layer[] }).stack;
  return layers.flatMap(({ route }) =>
    route && /^\/(?:video|ops|system)\//.test(route.path)
      ? Object.keys(route.methods).map((method) => `${method} ${templateOf(route.path)}`)
      : [],
  );
}

const operations = (document: Document) =>
  Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({ path, method, operation })),
  );

test('document and registered routes agree', async () => {
  const named = operations(await served()).map(({ method, path }) => `${method} ${path}`);
  expect(named.sort()).toEqual(registered(createApiParts().app).sort());
  expect(named.length).toBeGreaterThan(30);
});

describe('structure', () => {
  test('version, info, servers, security', async () => {
    expect(await served()).toMatchObject({
      openapi: '3.1.0',
      info: { title: 'Headwater API', version: '1' },
      servers: [{ url: 'http://api.test' }],
      security: [{ token: [] }],
      components: { securitySchemes: { token: { type: 'http', scheme: 'basic' } } },
    });
  });

  test('operation ids are unique; each path parameter is declared; each answer described', async () => {
    const all = operations(await served());
    const ids = all.map(({ operation }) => operation.operationId);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { path, operation } of all) {
      const inPath = [...path.matchAll(/\{([a-z_]+)\}/g)].map((match) => match[1]);
      const declared = operation.parameters.filter((item) => item.in === 'path').map((item) => item.name);
      expect(declared).toEqual(inPath);
      for (const answer of Object.values(operation.responses)) expect(answer.description).not.toBe('');
      const isOpen = operation.security !== undefined && operation.security.length === 0;
      expect('401' in operation.responses).toBe(!isOpen);
    }
  });

  test('every schema compiles as JSON Schema 2020-12, and every reference resolves', async () => {
    const document = await served();
    const ajv = new Ajv2020({ strict: false });
    ajv.addSchema({ ...(document['components'] as Json), $id: 'doc' });
    const compile = (schema: Json) =>
      ajv.compile(JSON.parse(JSON.stringify(schema).replaceAll('"#/components/', '"doc#/')) as Json);
    for (const { operation } of operations(document)) {
      for (const parameter of operation.parameters) compile(parameter.schema);
      for (const content of Object.values(operation.requestBody?.content ?? {})) compile(content.schema);
      for (const answer of Object.values(operation.responses))
        for (const content of Object.values(answer.content ?? {})) compile(content.schema);
    }
  });
});

test('real answers fit the schemas of the document', async () => {
  const parts = createApiParts();
  const document = await served();
  const ajv = new Ajv2020({ strict: false });
  const check = (path: string, method: string, status: string, body: unknown) => {
    const schema = document.paths[path]?.[method]?.responses[status]?.content?.['application/json']?.schema;
    expect(schema).toBeDefined();
    const validate = ajv.compile(schema ?? {});
    expect(validate(body), JSON.stringify(validate.errors)).toBe(true);
  };
  const call = (method: 'get' | 'post', path: string) =>
    request(parts.app)[method](path).set('authorization', AUTHORIZATION);
  check('/video/v1/uploads', 'post', '201', (await call('post', '/video/v1/uploads').send({})).body);
  check('/video/v1/live-streams', 'post', '201', (await call('post', '/video/v1/live-streams').send({})).body);
  check('/video/v1/assets', 'get', '200', (await call('get', '/video/v1/assets')).body);
  check('/video/v1/uploads', 'get', '200', (await call('get', '/video/v1/uploads')).body);
  const { broadcast, stream } = await recordedBroadcast(parts, { segments: 3 });
  await parts.recordings.record(broadcast);
  const one = '/video/v1/live-streams/{live_stream_id}';
  const at = `/video/v1/live-streams/${stream.id}`;
  check(one, 'get', '200', (await call('get', at)).body);
  check(`${one}/kick`, 'post', '200', (await call('post', `${at}/kick`)).body);
  check(`${one}/rotate-stream-key`, 'post', '200', (await call('post', `${at}/rotate-stream-key`)).body);
  for (const source of [{ live_stream_id: stream.id }, { asset_id: broadcast.asset_id }]) {
    const isLive = 'live_stream_id' in source;
    const body = { source, start: isLive ? -2 : 0, end: isLive ? 0 : 2 };
    check('/video/v1/clips', 'post', '201', (await call('post', '/video/v1/clips').send(body)).body);
  }
  check('/ops/v1/overview', 'get', '200', (await call('get', '/ops/v1/overview')).body);
});
