/** What went wrong and, on the lines after it, what to do: for a person to read, without a stack. */
export class Failure extends Error {
  constructor(what: string, remedy: string) {
    super(`${what}\n${remedy}`);
  }
}
