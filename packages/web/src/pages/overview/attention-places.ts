/** Where each kind of what needs attention is looked at. */
export const ATTENTION_PLACES: Readonly<
  Record<
    string,
    | { readonly to: '/sensors'; readonly search: { readonly state: 'cloned' | 'refused' | 'over-quota' } }
    | {
        readonly to:
          | '/sensors'
          | '/enrolment'
          | '/queues'
          | '/archive'
          | '/settings'
          | '/alerts'
          | '/storage'
          | '/exporters';
      }
  >
> = {
  'back-pressure': { to: '/settings' },
  disk: { to: '/storage' },
  damaged: { to: '/alerts' },
  'archive-failing': { to: '/archive' },
  'archive-behind': { to: '/archive' },
  cloned: { to: '/sensors', search: { state: 'cloned' } },
  silent: { to: '/alerts' },
  refused: { to: '/sensors', search: { state: 'refused' } },
  'over-quota': { to: '/sensors', search: { state: 'over-quota' } },
  certificate: { to: '/settings' },
  'exporter-failing': { to: '/exporters' },
  'queue-growing': { to: '/queues' },
  pending: { to: '/enrolment' },
  knocking: { to: '/enrolment' },
  unproven: { to: '/sensors' },
};
