import { describe, expect, it } from 'vitest';
import { AddressLimit } from './address-limit.ts';

describe('connections of one address', () => {
  it('are counted, given back, and forgotten', () => {
    const limit = new AddressLimit(2);
    const places = [limit.enter('192.0.2.1'), limit.enter('192.0.2.1')];
    expect(limit.enter('192.0.2.1')).toBeNull();
    expect(limit.enter('192.0.2.2')).not.toBeNull();
    places[0]?.();
    expect(limit.enter('192.0.2.1')).not.toBeNull();
    expect(limit.size).toBe(2);
    for (const leave of [places[1], limit.enter('198.51.100.1')]) leave?.();
    expect(limit.size).toBe(2);
  });

  it.each([
    ['one IPv4 address, however it is written', '192.0.2.1', '::ffff:192.0.2.1', true],
    ['one IPv6 network of 64 bits', '2001:db8:1:2::1', '2001:db8:1:2:ffff:ffff:ffff:ffff', true],
    ['one IPv6 network in its short form', '2001:db8::1', '2001:db8:0:0:1::', true],
    ['one link', 'fe80::1%eth0', 'fe80::2%eth0', true],
    ['two IPv6 networks', '2001:db8:1:2::1', '2001:db8:1:3::1', false],
    ['two IPv4 addresses', '::ffff:192.0.2.1', '::ffff:192.0.2.2', false],
  ])('are those of %s', (_name, one, other, isSame) => {
    const limit = new AddressLimit(1);
    limit.enter(one);
    expect(limit.enter(other) === null).toBe(isSame);
  });

  it.each(['127.0.0.1', '127.1.2.3', '::ffff:127.0.0.1', '::1'])('of %s are not limited', (address) => {
    const limit = new AddressLimit(1);
    for (let i = 0; i < 3; i += 1) expect(limit.enter(address)).not.toBeNull();
  });

  it('are not limited by 0', () => {
    const limit = new AddressLimit(0);
    for (let i = 0; i < 3; i += 1) expect(limit.enter('192.0.2.1')).not.toBeNull();
  });
});
