import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { hashPassword, verifyPassword } from './passwords.ts';
import { newToken, tokenHash } from './tokens.ts';

describe('passwords', () => {
  it('fit their own hash only', async () => {
    const phc = await hashPassword('pässword');
    assert.match(phc, /^\$scrypt\$ln=15,r=8,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
    assert.equal(await verifyPassword('pässword', phc), true);
    assert.equal(await verifyPassword('password', phc), false);
    assert.notEqual(await hashPassword('pässword'), phc);
  });

  it('do not fit what is no hash', async () => {
    assert.equal(await verifyPassword('x', 'x'), false);
    assert.equal(await verifyPassword('x', ''), false);
  });

  it('are checked as RFC 7914 computes them (section 12, third vector)', async () => {
    const salt = Buffer.from('SodiumChloride').toString('base64').replaceAll('=', '');
    const hash = Buffer.from(
      '7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887',
      'hex',
    );
    const phc = `$scrypt$ln=14,r=8,p=1$${salt}$${hash.toString('base64').replaceAll('=', '')}`;
    assert.equal(await verifyPassword('pleaseletmein', phc), true);
  });
});

describe('tokens', () => {
  it('have the 41 characters that scripts expect', () => {
    const token = newToken();
    assert.match(token, /^[A-Za-z0-9_-]{41}$/);
    assert.notEqual(newToken(), token);
    assert.match(tokenHash(token), /^[0-9a-f]{64}$/);
  });
});
