/** What clients call the metadata server: a Host that is another name is refused. Each cloud adds its own. */
export const HOST_NAMES: readonly string[] = [
  // Google: https://cloud.google.com/compute/docs/metadata/querying-metadata
  'metadata.google.internal',
  'metadata',
  // port-forward, the sandbox, a process on the Node
  'localhost',
];
