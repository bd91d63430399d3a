import {
  IconArchive,
  IconBan,
  IconBell,
  IconCategory,
  IconClipboardList,
  IconDatabase,
  IconDoorEnter,
  IconGauge,
  IconList,
  IconRouter,
  IconSend,
  IconSettings,
  IconSpider,
  IconUsers,
} from '@tabler/icons-react';

/**
 * What the navigation shows, in groups. A page is here, in `routes.tsx`, and in a folder of its own below `pages/`; `key` opens it
 * after `g`.
 */
export const NAVIGATION = [
  {
    title: 'Watch',
    entries: [
      { to: '/', label: 'Overview', icon: IconGauge, key: 'o' },
      { to: '/sensors', label: 'Sensors', icon: IconRouter, key: 's' },
      { to: '/enrolment', label: 'Enrolment', icon: IconDoorEnter, key: 'e' },
      { to: '/alerts', label: 'Alerts', icon: IconBell, key: 'l' },
      { to: '/maltrail', label: 'Maltrail', icon: IconSpider, key: 'm' },
    ],
  },
  {
    title: 'Data',
    entries: [
      { to: '/queues', label: 'Queues', icon: IconList, key: 'q' },
      { to: '/exporters', label: 'Exporters', icon: IconSend, key: 'x' },
      { to: '/archive', label: 'Archive', icon: IconArchive, key: 'a' },
      { to: '/storage', label: 'Storage', icon: IconDatabase, key: 'd' },
      { to: '/types', label: 'Types', icon: IconCategory, key: 't' },
    ],
  },
  {
    title: 'Administer',
    entries: [
      { to: '/blocks', label: 'Blocks', icon: IconBan, key: 'b' },
      { to: '/people', label: 'People', icon: IconUsers, key: 'p' },
      { to: '/audit', label: 'Audit', icon: IconClipboardList, key: 'u' },
      { to: '/settings', label: 'Settings', icon: IconSettings, key: 'c' },
    ],
  },
] as const;
