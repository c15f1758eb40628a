// What an application sees through google-auth-library and gcp-metadata: prints it as JSON.
// Usage: client.js AUDIENCE SCOPE...
import { createRequire } from 'node:module';
import { instance, isAvailable } from 'gcp-metadata';
import { GoogleAuth } from 'google-auth-library';

const [audience, ...scopes] = process.argv.slice(2);
const { version } = createRequire(import.meta.url)('google-auth-library/package.json');
const auth = new GoogleAuth({ scopes });

const seen = {
  client: `google-auth-library ${version}`,
  available: await isAvailable(),
  projectID: await auth.getProjectId(),
  universe: await auth.getUniverseDomain(),
  email: await instance('service-accounts/default/email'),
};

try {
  seen.accessToken = await auth.getAccessToken();
} catch (error) {
  seen.accessTokenError = error.message;
}

try {
  const client = await auth.getIdTokenClient(audience);
  seen.idToken = await client.idTokenProvider.fetchIdToken(audience);
} catch (error) {
  seen.idTokenError = error.message;
}

process.stdout.write(JSON.stringify(seen));
