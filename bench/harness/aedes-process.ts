// aedes as it comes, with nobody behind it: it acknowledges and drops.
import { createServer } from 'node:net';
import { Aedes } from 'aedes';
import { answerParent, measure } from './statistics.js';

const { port } = JSON.parse(process.argv[2] as string) as { port: number };
let count = 0;
const statistics = measure(() => count);
const broker = new Aedes({ concurrency: 1000 });
broker.on('publish', (_packet, client) => {
  if (client !== null) count += 1;
});
broker.listen().then(() => createServer((stream) => broker.handle(stream)).listen(port, '127.0.0.1'));
answerParent(() => statistics());
