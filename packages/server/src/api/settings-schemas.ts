import Type, { type Static } from 'typebox';
import { closed, time } from './schema-parts.ts';

/* How the server is set up. */

export const SettingList = closed('SettingList', {
  items: Type.Array(
    closed('Setting', {
      name: Type.String({ examples: ['limits.max-payload-bytes'] }),
      value: Type.Union([Type.String(), Type.Number(), Type.Boolean(), Type.Null()], {
        description: 'Null where it is not set; a secret is masked',
      }),
      source: Type.String({ description: '`default`, a file, a variable or a flag' }),
      description: Type.String(),
    }),
  ),
});

export const CertificateView = closed('Certificate', {
  subject: Type.String(),
  issuer: Type.String(),
  names: Type.Array(Type.String(), { description: 'Names and addresses that it is for' }),
  notBefore: time('Holds from'),
  notAfter: time('Holds until'),
  sha256: Type.String({ description: 'Of the certificate (DER), lower-case hexadecimal' }),
  isOwn: Type.Boolean({ description: "Whether the server's own CA has issued it: then it is renewed by itself" }),
  authority: Type.Object(
    {
      pem: Type.String(),
      sha256: Type.String(),
      notAfter: time('Holds until'),
    },
    { additionalProperties: false, description: 'What sensors pin' },
  ),
});
export type CertificateView = Static<typeof CertificateView>;

export const CertificateReplacement = closed('CertificateReplacement', {
  pem: Type.String({
    maxLength: 500_000,
    description: 'The private key, the certificate, and those that signed it, in PEM',
  }),
  allowOtherAuthority: Type.Optional(
    Type.Boolean({ description: 'Also where what sensors have pinned has not signed it, so that they refuse it' }),
  ),
});
