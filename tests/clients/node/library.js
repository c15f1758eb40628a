// google-auth-library in the version that is named, with the gcp-metadata that it brings.
import { createRequire } from 'node:module';

export function library(name) {
  const require = createRequire(import.meta.url);
  const { version } = require(`${name}/package.json`);
  const { GoogleAuth } = require(name);
  const metadata = createRequire(require.resolve(name))('gcp-metadata');
  return { version, GoogleAuth, metadata };
}
