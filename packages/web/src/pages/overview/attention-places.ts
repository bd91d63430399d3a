/** Where each kind of what needs attention is looked at. */
export const ATTENTION_PLACES: Readonly<
  Record<
    string,
    | { readonly to: '/sensors'; readonly search: { readonly state: 'cloned' | 'refused' | 'over-quota' } }
    | { readonly to: '/sensors' | '/enrolment' | '/queues' | '/archive' | '/settings' }
  >
> = {
  'back-pressure': { to: '/settings' },
  disk: { to: '/settings' },
  'archive-failing': { to: '/archive' },
  'archive-behind': { to: '/archive' },
  cloned: { to: '/sensors', search: { state: 'cloned' } },
  silent: { to: '/sensors' },
  refused: { to: '/sensors', search: { state: 'refused' } },
  'over-quota': { to: '/sensors', search: { state: 'over-quota' } },
  certificate: { to: '/settings' },
  'queue-growing': { to: '/queues' },
  pending: { to: '/enrolment' },
  knocking: { to: '/enrolment' },
  unproven: { to: '/sensors' },
};
