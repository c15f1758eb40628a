import { setDefaultTimeout } from 'bun:test';

// Loaded by bunfig.toml before any test. No test reads a person's own kubeconfig: TEST_KUBECONFIG names a cluster.
Reflect.deleteProperty(process.env, 'KUBECONFIG');

// generous for a slow machine: a test that hangs fails all the same
setDefaultTimeout(120_000);
