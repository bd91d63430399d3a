import { ActionIcon, Drawer } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { IconMenu2 } from '@tabler/icons-react';
import { Link, Outlet, useRouterState } from '@tanstack/react-router';
import { useEffect, useRef } from 'react';
import logo from '../favicon.svg';
import { usePageLinks } from '../parts/page-link.tsx';
import { Navigation } from './navigation-list.tsx';
import classes from './shell.module.css';
import { Shortcuts } from './shortcuts.tsx';
import { UserMenu } from './user-menu.tsx';

/** What stands around every page: navigation, the user's menu, shortcuts. */
export function Shell() {
  const [opened, { open, close }] = useDisclosure(false);
  const path = useRouterState({ select: (state) => state.location.pathname });
  const main = useRef<HTMLElement>(null);
  const shown = useRef(path);
  usePageLinks();

  // Whoever follows a link by keyboard or hears the page read goes on in the new page, not behind the link.
  useEffect(() => {
    if (shown.current === path) return;
    shown.current = path;
    close();
    main.current?.focus({ preventScroll: true });
  }, [path, close]);

  return (
    <>
      <a href="#main" className={classes.skip}>
        Skip to the page
      </a>
      <Shortcuts />
      <div className={classes.frame}>
        <header className={classes.bar}>
          <ActionIcon variant="subtle" color="gray" size="lg" aria-label="Open the navigation" onClick={open}>
            <IconMenu2 size={20} />
          </ActionIcon>
          <Brand />
          <div style={{ marginLeft: 'auto' }}>
            <UserMenu compact />
          </div>
        </header>
        <header className={classes.side}>
          <Brand />
          <Navigation />
          <div className={classes.foot}>
            <UserMenu />
          </div>
        </header>
        <main id="main" ref={main} tabIndex={-1} className={classes.main}>
          <div className={classes.inner}>
            <Outlet />
          </div>
        </main>
      </div>
      <Drawer
        opened={opened}
        onClose={close}
        size={260}
        title="D4"
        closeButtonProps={{ 'aria-label': 'Close' }}
        padding="xs"
      >
        <Navigation />
      </Drawer>
    </>
  );
}

function Brand() {
  return (
    <Link to="/" className={classes.brand} aria-label="D4: overview">
      <img src={logo} width={26} height={26} alt="" />
      D4
    </Link>
  );
}
