import { describeTwoGateways } from '../support/two-gateways.js';

describeTwoGateways('PostgreSQL', 'TEST_POSTGRES_URL');
