import { Argument, InvalidArgumentError, Option } from 'commander';
import { parseObjectName } from './parsers.ts';

export interface PodName {
  readonly namespace: string;
  readonly name: string;
}

/** The Pod to explain. */
export function explainArgument(): Argument {
  return new Argument('<namespace/pod>', 'the Pod to explain').argParser(parsePodName);
}

/** The flags that `explain` has beside those of `serve`. */
export function explainOptions(): Option[] {
  return [new Option('--json', 'print JSON').default(false)];
}

function parsePodName(value: string): PodName {
  const [namespace = '', name = '', ...more] = value.split('/');
  if (more.length > 0) throw new InvalidArgumentError('Expected NAMESPACE/POD.');
  try {
    return { namespace: parseObjectName(namespace), name: parseObjectName(name) };
  } catch {
    throw new InvalidArgumentError('Expected NAMESPACE/POD.');
  }
}
