// Loaded by bunfig.toml before any test. No test reads a person's own kubeconfig: TEST_KUBECONFIG names a cluster.
Reflect.deleteProperty(process.env, 'KUBECONFIG');
