import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { chmod, mkdtemp, open, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { unsignedToken } from '../testing/unsigned-token.ts';
import { parseIdToken } from './id-token.ts';
import { TokenFile } from './token-file.ts';

const EXPIRY = 1_800_000_000;

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gkems-token-file-'));
  path = join(folder, 'token');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function idToken(text = unsignedToken({ exp: EXPIRY })) {
  const token = parseIdToken(text);
  if (token === undefined) throw new Error('not a token');
  return token;
}

describe('TokenFile', () => {
  test('is the token alone, without a newline, for all users to read, whatever the umask', async () => {
    const before = process.umask(0o077);
    try {
      await new TokenFile(path).write(idToken());
    } finally {
      process.umask(before);
    }
    expect(await readFile(path, 'utf8')).toBe(unsignedToken({ exp: EXPIRY }));
    expect((await stat(path)).mode & 0o777).toBe(0o644);
    expect(await readdir(folder)).toEqual(['token']);
  });

  test('is replaced by another file, so that whoever has opened it reads one token whole', async () => {
    const file = new TokenFile(path);
    await file.write(idToken());
    const { ino } = await stat(path);
    await using opened = await open(path);
    const longer = unsignedToken({ exp: EXPIRY, more: 'x'.repeat(2000) });
    await file.write(idToken(longer));
    expect(await opened.readFile('utf8')).toBe(unsignedToken({ exp: EXPIRY }));
    expect((await stat(path)).ino).not.toBe(ino);
    expect(await readFile(path, 'utf8')).toBe(longer);
  });

  test('is there and whole whenever a reader looks, while it is replaced', async () => {
    const file = new TokenFile(path);
    const texts = [1000, 3000].map((length) => unsignedToken({ exp: EXPIRY, more: 'x'.repeat(length) }));
    await file.write(idToken(texts[0]));
    let isOver = false;
    const writing = (async () => {
      for (let count = 1; count <= 200; count++) await file.write(idToken(texts[count % 2]));
      isOver = true;
    })();
    while (!isOver) expect(texts).toContain(await readFile(path, 'utf8'));
    await writing;
  });

  test('is written though an interrupted attempt has left its temporary file, which is not followed as a link', async () => {
    const elsewhere = join(folder, 'elsewhere');
    await writeFile(elsewhere, 'kept');
    await symlink(elsewhere, `${path}.tmp`);
    await new TokenFile(path).write(idToken());
    expect(await readFile(elsewhere, 'utf8')).toBe('kept');
    expect(await new TokenFile(path).read()).toMatchObject({ expiresAt: EXPIRY * 1000 });
  });

  test('that cannot be written says what to do, and stays as it was', async () => {
    const file = new TokenFile(join(folder, 'missing/token'));
    const error = await file.write(idToken()).then(
      () => undefined,
      (reason) => reason,
    );
    expect(error).toMatchObject({
      code: 'token-file-not-written',
      message: `cannot write ${folder}/missing/token: ENOENT`,
      remedy: `Mount a volume at ${folder}/missing that this user can write to and that has room for a token.`,
    });
  });

  test.each([
    ['nothing', undefined],
    ['no token', 'token'],
    ['a token without an expiry', unsignedToken({ aud: 'a' })],
    ['something far too long', unsignedToken({ exp: EXPIRY, more: 'x'.repeat(30_000) })],
  ])('reads nothing if there is %s', async (_, text) => {
    if (text !== undefined) await writeFile(path, text);
    expect(await new TokenFile(path).read()).toBeUndefined();
  });

  test('never shows the token it has read', async () => {
    await writeFile(path, unsignedToken({ exp: EXPIRY }));
    await chmod(path, 0o600);
    expect(JSON.stringify(await new TokenFile(path).read())).toContain('[redacted]');
  });
});
