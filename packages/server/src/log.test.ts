import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { logLine, logText } from './log.ts';

describe('the log for people', () => {
  it('shows time, level, message and facts', () => {
    const line =
      '{"level":"info","time":"2026-01-02T03:04:05.678Z","address":"192.0.2.1","count":3,"list":["a b"],"msg":"hello"}\n';
    assert.equal(logText(line), '2026-01-02T03:04:05.678Z INFO  hello address=192.0.2.1 count=3 list=["a b"]\n');
  });

  it("shows an error's message", () => {
    const line =
      '{"level":"error","time":"t","err":{"type":"D4Error","message":"it broke","stack":"at …"},"msg":"bad"}';
    assert.equal(logText(line), 't ERROR bad err="it broke"\n');
  });

  it('has no control codes for the terminal', () => {
    const line = JSON.stringify({
      level: 'warn',
      time: 't',
      name: '\u001b[2J\n\u009b1m\u202e',
      msg: '\u001b]0;x\u0007',
    });
    assert.equal(logText(line), 't WARN  \\u001b]0;x\\u0007 name="\\u001b[2J\\n\\u009b1m\\u202e"\n');
    const json = logLine(`${line}\n`);
    assert.match(json, /^[ -~]+\n$/);
    assert.deepEqual(JSON.parse(json), JSON.parse(line));
    assert.equal(JSON.parse(logLine(JSON.stringify({ name: '\u{e0001}' }))).name, '\u{e0001}');
  });
});
