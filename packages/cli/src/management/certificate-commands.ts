import { readFileSync } from 'node:fs';
import { D4Error } from '@d4ts/protocol';
import type { CertificateView } from '@d4ts/server';
import type { Command } from 'commander';
import { factList } from './fact-list.ts';
import { managementCommand } from './management-command.ts';
import { terminalText, timeText } from './terminal-text.ts';

/** Adds `d4 certificate …`. */
export function registerCertificateCommands(program: Command): void {
  const certificate = program.command('certificate').description("the server's certificate, and what sensors pin");

  managementCommand(certificate.command('show').description('what it is, and when it ends'), async ({ api, show }) => {
    const shown = await api.get<CertificateView>('/certificate');
    await show(shown, () => certificateText(shown));
  });

  managementCommand<[string[]], { allowOtherAuthority?: boolean }>(
    certificate
      .command('replace')
      .description('put another one in its place, at once; connections that are open stay')
      .argument('<FILES...>', 'PEM files with the private key, the certificate, and those that signed it')
      .option('--allow-other-authority', 'also one that sensors with the old CA refuse'),
    async ({ api, show }, { allowOtherAuthority = false }, files) => {
      const pem = files.map(readPem).join('\n');
      const replaced = await api.put<CertificateView>('/certificate', { pem, allowOtherAuthority });
      await show(replaced, () => certificateText(replaced));
    },
  );

  managementCommand(
    certificate.command('renew').description("issue another one by the server's own CA, with the host's names"),
    async ({ api, show }) => {
      const renewed = await api.post<CertificateView>('/certificate/renew');
      await show(renewed, () => certificateText(renewed));
    },
  );
}

function certificateText({ subject, issuer, names, notBefore, notAfter, sha256, isOwn, authority }: CertificateView) {
  return factList([
    ['subject', terminalText(subject.replaceAll('\n', ', '))],
    ['issuer', terminalText(issuer.replaceAll('\n', ', '))],
    ['names', terminalText(names.join(', '))],
    ['holds from', timeText(notBefore)],
    ['holds until', `${timeText(notAfter)}${isOwn ? ', renewed by itself before' : ''}`],
    ['SHA-256', sha256],
    ['sensors pin', `${authority.sha256} (until ${timeText(authority.notAfter)})`],
  ]);
}

function readPem(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new D4Error('D4_USAGE', `${file} cannot be read: ${error instanceof Error ? error.message : error}`, error);
  }
}
