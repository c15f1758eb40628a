import { type IdentityContext, InjectionRefused } from '../injection.ts';
import { isJsonObject } from '../json-patch.ts';

/** The key with the mapping, as kOps writes it. */
const KEY = 'config';

/**
 * The JSON object of a ConfigMap, `NAMESPACE/NAME`; undefined if there is none. Throws {@link InjectionRefused} if it is
 * not one: which ServiceAccounts it names cannot be known, and a Pod admitted without its credentials never gets them.
 */
export function readConfig(
  { configMaps }: IdentityContext,
  name: string,
): Readonly<Record<string, unknown>> | undefined {
  const config = configMaps.get(name)?.json(KEY);
  if (config === undefined || isJsonObject(config)) return config;
  throw new InjectionRefused(`${KEY} of ConfigMap ${name} is not a JSON object: correct it`);
}
