// Reads what a page shall show from its own address.

/** The playback id of `/watch/{id}` or `/embed/{id}`; null when the path holds none. */
export function playbackIdOf(pathname: string): string | null {
  return /^\/(?:watch|embed)\/([A-Za-z0-9]{16,40})\/?$/.exec(pathname)?.[1] ?? null;
}

/** True for `?name=1` and `?name=true`. */
export function isOn(search: URLSearchParams, name: string): boolean {
  return ['1', 'true'].includes(search.get(name) ?? '');
}
