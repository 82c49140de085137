// Must show F, short form: 20 seconds of hostile publishers beside a good one.
import { hostileSuite } from '../support/hostile-suite.ts';

hostileSuite(20, async (figures) => void process.stderr.write(`hostile: ${JSON.stringify(figures)}\n`));
