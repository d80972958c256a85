import { describeTwoGateways } from '../support/two-gateways.js';

describeTwoGateways('MariaDB or MySQL', 'TEST_MYSQL_URL');
