/** Something to do on the command line while a page has nothing to show. */
export interface FirstStep {
  title: string;
  command: string;
}

/** Where machines reach the broker: the host as the page reached the gateway. */
export interface BrokerAddress {
  host: string;
  port: number;
}

/** As from a checkout, which is where `npm start` runs. */
export const COMMAND = 'npm run -s fieldloom --';
