// Floods the webhook on the port of the first argument, in all the ways that the others name, at once. A process of
// its own: the flood is busy, and ordinary requests must not wait for it.
import { FLOODS } from './webhook-attacks.ts';

const [port, ...names] = process.argv.slice(2);
await Promise.all(names.map((name) => FLOODS[name]?.(Number(port))));
