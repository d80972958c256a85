import { storeSuitesOn } from '../support/store-suites.js';

storeSuitesOn('PostgreSQL', 'TEST_POSTGRES_URL');
