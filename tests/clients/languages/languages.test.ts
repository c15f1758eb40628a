import { setDefaultTimeout } from 'bun:test';
import { sandboxPods, TIMEOUT, testClients } from '../client-suite.ts';
import { choosePodNetwork } from '../pod-network.ts';
import { installLanguages } from './language-programs.ts';

setDefaultTimeout(TIMEOUT);

const network = await choosePodNetwork();
const clients = await installLanguages();

testClients(`clients of other languages, ${network.description}`, clients, sandboxPods(network));
