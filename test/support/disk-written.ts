// What the disk writer writes, so that its reader can tell.
export const MIB = 1024 ** 2;
export const writtenKey = (index: number): string => `/object/${index}`;
export const writtenBody = (index: number): Buffer => Buffer.alloc(4 * MIB, `${index} `);
