// `npm run docs`: writes the generated pages with the built code.
const { writeDocs } = await import(new URL('../../dist/ops/scripts/write-docs.js', import.meta.url).href);
await writeDocs(process.cwd());
