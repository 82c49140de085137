// The listener of rare syntax behaves as the raw one does.
import { http1Suite } from '../test/support/http1-suite.ts';
import { createNodeListener } from './node-listener.ts';

http1Suite(createNodeListener);
