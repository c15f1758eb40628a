/** Everything that is in one of the lists, once, in an order that each list agrees with. Throws where there is none. */
export function inOrder(lists: readonly (readonly string[])[]): readonly string[] {
  const before = new Map<string, Set<string>>();
  for (const list of lists) {
    for (const [index, id] of list.entries()) {
      const known = before.get(id) ?? new Set<string>();
      before.set(id, known);
      const previous = list[index - 1];
      if (previous !== undefined) known.add(previous);
    }
  }
  const order: string[] = [];
  const placed = new Set<string>();
  while (order.length < before.size) {
    const next = [...before].find(
      ([id, earlier]) => !placed.has(id) && [...earlier].every((one) => placed.has(one)),
    );
    if (next === undefined) throw new Error(`no order of ${[...before.keys()].join(', ')}`);
    order.push(next[0]);
    placed.add(next[0]);
  }
  return order;
}
