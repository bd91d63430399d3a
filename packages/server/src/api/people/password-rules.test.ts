import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkNewPassword } from './password-rules.ts';

const MAIL = 'annika@sensors.example';

test('long ones that nobody tries first are taken, whatever they are made of', () => {
  for (const password of [
    'vier kalte Enten am Ufer',
    'correct battery horse apple',
    'tromboneglacierpickle',
    'hjklvbnxqzrw',
    'Ωραία ημέρα σήμερα',
    '電気自転車で山を越えて行く',
    'kZ8-xw2L_pQ0vTnRaY4',
    `${'x7Kq'.repeat(3)}abdQWpmn3`,
    'a b c d e f g h i j k l m n o p'.replaceAll(' ', '. '),
  ]) {
    assert.doesNotThrow(() => checkNewPassword(password, MAIL), password);
  }
});

test('short, endless, repeated, well-known ones and the mail address are refused', () => {
  for (const [password, why] of [
    ['short', /5 characters; use at least 12/],
    ['elevenchars', /11 characters/],
    ['é'.repeat(513), /1026 bytes/],
    ['aaaaaaaaaaaaaaaa', /repeats/],
    ['abababababab', /repeats/],
    ['abc1abc1abc1abc1', /repeats/],
    ['password1234', /tried first/],
    ['P@ssw0rd2024!', /tried first/],
    ['passwordpassword1', /repeats/],
    ['qwertyuiop123456', /tried first/],
    ['1q2w3e4r5t6y7u8i', /tried first/],
    ['abcdefghijklmnop', /tried first/],
    ['poiuytrewqlkjhgfdsa', /tried first/],
    ['Administrator1!', /tried first/],
    ['changeme-letmein!!', /tried first/],
    ['welcomeadmin2023', /tried first/],
    ['correcthorsebatterystaple', /tried first/],
    ['annika@sensors.example', /mail address/],
    ['annika.sensors.12', /mail address/],
  ] as const) {
    assert.throws(() => checkNewPassword(password, MAIL), { code: 'D4_BAD_PASSWORD', message: why }, password);
  }
});
