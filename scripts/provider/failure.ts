/** What went wrong and, on the lines after it, what to do: for a person to read, without a stack. */
export class Failure extends Error {
  constructor(what: string, remedy: string) {
    super(`${what}\n${remedy}`);
  }
}

/** A program is not on PATH. */
export class NotInstalled extends Failure {}

/** gcloud cannot do what was asked: nobody is logged in, or this account may not. */
export class GcloudRefused extends Failure {}
