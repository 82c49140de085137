// Platform events over Redis pub/sub. A hint only: it may be lost, and every reader also polls.
import { PlatformEvent } from '../contract/events.ts';
import { eventsChannel } from '../contract/redis-keys.ts';
import type { Component } from '../runtime/lifecycle.ts';
import type { Logger } from '../runtime/log.ts';
import type { RedisConnection } from './redis.ts';

export interface EventBus extends Component {
  /** Never throws: an event that Redis does not take is logged and dropped. */
  publish(event: PlatformEvent): Promise<void>;
  /** @returns remover */
  on(listener: (event: PlatformEvent) => void): () => void;
}

/**
 * @param redis shared connection for publishing; listening takes a connection of its own
 */
export function createEventBus(redis: RedisConnection, log: Logger): EventBus {
  const listeners = new Set<(event: PlatformEvent) => void>();
  let listening: RedisConnection | null = null;
  const receive = (message: string) => {
    const event = parse(message);
    if (event === null) return log.warn('event not understood', { length: message.length });
    for (const listener of listeners) {
      try {
        listener(event);
      } catch (thrown) {
        log.error('event listener failed', { event: event.type, err: thrown });
      }
    }
  };
  return {
    async start() {
      listening = redis.duplicate();
      await listening.start();
      await listening.subscribe(eventsChannel, receive);
    },
    async publish(event) {
      try {
        await redis.client.publish(eventsChannel, JSON.stringify(event));
      } catch (thrown) {
        log.debug('event not published', { event: event.type, err: thrown });
      }
    },
    on(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async close() {
      listeners.clear();
      await listening?.close();
      listening = null;
    },
  };
}

function parse(message: string): PlatformEvent | null {
  try {
    const parsed = PlatformEvent.safeParse(JSON.parse(message));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}
