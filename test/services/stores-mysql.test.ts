import { storeSuitesOn } from '../support/store-suites.js';

storeSuitesOn('MySQL or MariaDB', 'TEST_MYSQL_URL');
