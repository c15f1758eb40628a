// What an application sees through google-auth-library and gcp-metadata: prints it as JSON.
// Usage: client.js LIBRARY AUDIENCE SCOPE...
import { library } from './library.js';

const [name, audience, ...scopes] = process.argv.slice(2);
const { version, GoogleAuth, metadata } = library(name);
const auth = new GoogleAuth({ scopes });

const seen = {
  client: `google-auth-library ${version}`,
  available: await metadata.isAvailable(),
  projectID: await auth.getProjectId(),
  // 7 and 8 know of one alone
  universe: (await auth.getUniverseDomain?.()) ?? 'googleapis.com',
  email: await metadata.instance('service-accounts/default/email'),
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
