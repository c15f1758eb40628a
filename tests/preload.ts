import { setDefaultTimeout } from 'bun:test';

// Loaded by bunfig.toml before any test. No test reads a person's own kubeconfig: TEST_KUBECONFIG names a cluster.
Reflect.deleteProperty(process.env, 'KUBECONFIG');

// Bun's own limit of 5 s is too short for a busy machine: a bare `bun test` has that of `scripts/test`.
setDefaultTimeout(60_000);
