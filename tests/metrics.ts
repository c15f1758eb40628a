/** The sum of a metric's samples that have all the given labels; 0 if there is none. */
export async function metric(
  healthPort: number,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${healthPort}/metrics`)).text();
  const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  let sum = 0;
  for (const line of text.split('\n')) {
    const [, sampled, labelled = '', value] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    if (sampled === name && wanted.every((label) => labelled.split(',').includes(label)))
      sum += Number(value);
  }
  return sum;
}
