// The frame that roles share: what a role knows of itself, its listeners as parts, its entry in the registry, its life as a service.
import type { Server } from 'node:http';
import type { Server as NetServer } from 'node:net';
import { type NodeInfo, VERSION } from '../contract/nodes.ts';
import { closeServer, listen } from './http-server.ts';
import type { Component, NamedComponent, Service, ServiceContext } from './lifecycle.ts';

/** What changes while a role runs. Addresses are known once its listeners are open; `startedAt`: ms since epoch. */
export type RoleState = {
  url: string;
  publicUrl: string | null;
  privateUrl: string;
  startedAt: number;
  isDraining: boolean;
};

/** A role before its start. @param publicUrl where that is known beforehand */
export const newRoleState = (publicUrl: string | null = null): RoleState => ({
  url: '',
  publicUrl,
  privateUrl: '',
  startedAt: 0,
  isDraining: false,
});

/** What the registry says of a role. @param load small gauges by name */
export const nodeInfoOf = (context: ServiceContext, state: RoleState, load: NodeInfo['load']): NodeInfo => ({
  id: context.node,
  role: context.role,
  url: state.url,
  public_url: state.publicUrl,
  private_url: state.privateUrl,
  state: state.isDraining ? 'draining' : 'healthy',
  started_at: state.startedAt,
  pid: process.pid,
  version: VERSION,
  load,
});

/** The parts of a role as its service: `state` learns of start and drain before the parts do. */
export const asService = (whole: Component, state: RoleState): Service => ({
  async start() {
    state.startedAt = Date.now();
    await whole.start();
  },
  async drain() {
    state.isDraining = true;
    await whole.drain?.();
  },
  close: () => whole.close(),
  addresses: () => ({ url: state.url, public_url: state.publicUrl, private_url: state.privateUrl }),
});

/** Something that listens; start() answers the port in use. createPrivateServer() makes one. */
export type Listener = { start(): Promise<number>; drain?(): Promise<void>; close(): Promise<void> };

/**
 * The main port of a role over its server.
 * @param place `variable` is the setting that chose the port, for the error
 * @param drainMs requests under way have this long after the drain begins
 */
export const mainListener = (
  server: NetServer & Pick<Server, 'closeIdleConnections' | 'closeAllConnections'>,
  place: { port: number; host: string; variable: string },
  drainMs: number,
): Listener => ({
  start: () => listen(server, place.port, place.host, place.variable),
  drain: () => closeServer(server, drainMs),
  close: () => closeServer(server, 0),
});

/**
 * A listener as a part of a role.
 * @param host name by which other roles reach it
 * @param opened told its base address, `http://host:port`, as soon as it listens
 */
export const listenerPart = (
  name: string,
  listener: Listener,
  host: string,
  opened: (url: string, port: number) => void,
): NamedComponent => ({
  name,
  component: {
    async start() {
      const port = await listener.start();
      opened(`http://${host}:${port}`, port);
    },
    drain: async () => listener.drain?.(),
    close: () => listener.close(),
  },
});
