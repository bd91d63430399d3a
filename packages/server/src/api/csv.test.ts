import assert from 'node:assert/strict';
import { test } from 'node:test';
import { csvLine } from './csv.ts';

test('cells are quoted where they need to be, and no spreadsheet runs them', () => {
  assert.equal(csvLine(['a', 'b c', '']), 'a,b c,\r\n');
  assert.equal(csvLine(['a,b', 'say "no"', 'two\nlines']), '"a,b","say ""no""","two\nlines"\r\n');
  assert.equal(csvLine(['=1+1', '@SUM(A1)', '-2', '+3']), "'=1+1,'@SUM(A1),'-2,'+3\r\n");
});
