import { describe, expect, it } from 'vitest';
import { Admission, type Admitted } from './admission.ts';

const said = (admitted: Admitted): string => ('refused' in admitted ? admitted.refused : 'in');
const leave = (admitted: Admitted | undefined): void => {
  if (admitted !== undefined && 'leave' in admitted) admitted.leave();
};
const one = () => new Admission({ connections: 100, perAddress: 1 });

describe('connections of one address', () => {
  it('are counted, given back, and forgotten', () => {
    const admission = new Admission({ connections: 100, perAddress: 2 });
    const places = ['192.0.2.1', '192.0.2.1', '192.0.2.1', '192.0.2.2'].map((address) => admission.enter(address));
    expect(places.map(said)).toEqual(['in', 'in', 'address-limit', 'in']);
    leave(places[0]);
    const again = admission.enter('192.0.2.1');
    expect(said(again)).toBe('in');
    expect(admission.addresses).toBe(2);
    for (const place of [places[1], places[3], again]) leave(place);
    expect(admission.addresses).toBe(0);
  });

  it.each([
    ['one IPv4 address, however it is written', '192.0.2.1', '::ffff:192.0.2.1', true],
    ['one IPv6 network of 64 bits', '2001:db8:1:2::1', '2001:db8:1:2:ffff:ffff:ffff:ffff', true],
    ['one IPv6 network in its short form', '2001:db8::1', '2001:db8:0:0:1::', true],
    ['one link', 'fe80::1%eth0', 'fe80::2%eth0', true],
    ['two IPv6 networks', '2001:db8:1:2::1', '2001:db8:1:3::1', false],
    ['two IPv4 addresses', '::ffff:192.0.2.1', '::ffff:192.0.2.2', false],
  ])('are those of %s', (_name, first, second, isSame) => {
    const admission = one();
    admission.enter(first);
    expect(said(admission.enter(second))).toBe(isSame ? 'address-limit' : 'in');
  });

  it.each(['127.0.0.1', '127.1.2.3', '::ffff:127.0.0.1', '::1'])('of %s are not limited', (address) => {
    const admission = one();
    for (let i = 0; i < 3; i += 1) expect(said(admission.enter(address))).toBe('in');
  });

  it('are not limited by 0', () => {
    const admission = new Admission({ connections: 100, perAddress: 0 });
    for (let i = 0; i < 3; i += 1) expect(said(admission.enter('192.0.2.1'))).toBe('in');
  });
});

describe('connections in all', () => {
  it('are limited over every address, loopback too, and one that goes makes room', () => {
    const admission = new Admission({ connections: 2, perAddress: 1 });
    const places = ['127.0.0.1', '192.0.2.1', '127.0.0.1', '192.0.2.2'].map((address) => admission.enter(address));
    expect(places.map(said)).toEqual(['in', 'in', 'full', 'full']);
    leave(places[0]);
    expect(said(admission.enter('192.0.2.2'))).toBe('in');
    expect(said(admission.enter('192.0.2.3'))).toBe('full');
  });

  it('are not used up by those refused', () => {
    const admission = new Admission({ connections: 2, perAddress: 1 });
    const places = ['192.0.2.1', '192.0.2.1', '192.0.2.1', '192.0.2.2'].map((address) => admission.enter(address));
    expect(places.map(said)).toEqual(['in', 'address-limit', 'address-limit', 'in']);
  });
});
