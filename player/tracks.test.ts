// Lists that menus read: choosing calls the player once, replacing returns to automatic.
import { describe, expect, it } from 'vitest';
import { AudioTrackList, RenditionList } from './tracks.ts';

const rendition = (height: number) => ({ id: String(height), width: height * 2, height, bitrate: height * 1_000 });

describe('RenditionList', () => {
  it('is automatic at first and after a new list', () => {
    const chosen: number[] = [];
    const list = new RenditionList((index) => chosen.push(index));
    list.replace([rendition(720), rendition(240)]);
    expect([...list].map((item) => item.id)).toEqual(['720', '240']);
    expect(Reflect.get(list, 1)).toMatchObject({ id: '240' });
    list.selectedIndex = 1;
    list.selectedIndex = 1;
    expect(chosen).toEqual([1]);
    list.replace([rendition(240)]);
    expect(list.selectedIndex).toBe(-1);
    expect(Reflect.get(list, 1)).toBeUndefined();
    expect(list).toHaveLength(1);
  });

  it('tells its listeners', () => {
    const heard: string[] = [];
    const list = new RenditionList(() => undefined);
    for (const type of ['addrendition', 'change']) list.addEventListener(type, () => heard.push(type));
    list.replace([rendition(240)]);
    list.selectedIndex = 0;
    expect(heard).toEqual(['addrendition', 'change', 'change']);
  });
});

describe('AudioTrackList', () => {
  it('enables one track for the player when a menu sets all of them', () => {
    const chosen: number[] = [];
    const list = new AudioTrackList((index) => chosen.push(index));
    const tracks = [
      { label: 'English', language: 'en' },
      { label: 'Deutsch', language: 'de' },
    ];
    list.replace(tracks, 0);
    for (const track of list) track.enabled = track.id === '1';
    expect(chosen).toEqual([1]);
    expect([...list].map((track) => track.enabled)).toEqual([false, true]);
  });
});
