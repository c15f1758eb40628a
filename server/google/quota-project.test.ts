import { expect, test } from 'bun:test';
import { parseQuotaProject } from './quota-project.ts';

test.each(['my-project', 'a12345', 'example.com:my-project', '123456789012'])('%s is a project', (value) => {
  expect(parseQuotaProject(value)).toBe(value as never); // the brand is what is under test
});

test.each([
  'short',
  'My-Project',
  '1-project',
  'my-project-',
  'my_project',
  'projects/my-project',
  'my-project\r\nx-evil: 1',
  '0123',
  `p${'x'.repeat(30)}`,
])('%j is not', (value) => {
  expect(parseQuotaProject(value)).toBeUndefined();
});
