// Prints in how many of TIMES looks gcp-metadata finds the metadata server, each as after a start.
// Usage: find.js LIBRARY TIMES
import { library } from './library.js';

const [name, times] = process.argv.slice(2);
const { metadata } = library(name);
let found = 0;
for (let look = 0; look < Number(times); look++) {
  metadata.resetIsAvailableCache();
  if (await metadata.isAvailable()) found++;
}
process.stdout.write(JSON.stringify({ found }));
