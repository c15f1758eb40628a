const account = `http://${process.env.GCE_METADATA_HOST ?? '169.254.169.254'}/computeMetadata/v1/instance/service-accounts/default`;
const ask = async (path) => {
  const response = await fetch(`${account}/${path}`, { headers: { 'Metadata-Flavor': 'Google' } });
  const text = await response.text();
  if (!response.ok) throw new Error(`${path}: ${response.status} ${text}`);
  return text;
};
const { token_type, expires_in, access_token } = JSON.parse(await ask('token'));
if (token_type !== 'Bearer' || !(expires_in > 0) || !access_token) throw new Error('token: not what was asked for');
console.log(`token: ${token_type}, expires in ${expires_in} s`);
const email = await ask('email');
if (email !== process.env.EXPECTED_EMAIL) throw new Error(`email: ${email}, not ${process.env.EXPECTED_EMAIL}`);
console.log(`email: ${email}`);
