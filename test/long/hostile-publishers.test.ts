// Must show F, full form: three minutes of hostile publishers beside a good one.
import { hostileSuite } from '../support/hostile-suite.ts';
import { keepFigures } from './live-figures.ts';

hostileSuite(180, (figures) => keepFigures('hostile-publishers', 'test/long/hostile-publishers.test.ts', figures));
