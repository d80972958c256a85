import type { Connectivity } from '../../live-feed.js';

/** What the browser says of its network and of who looks. */
export const connectivity: Connectivity = {
  listen({ returned, lost }) {
    const looked = () => {
      if (document.visibilityState === 'visible') returned();
    };
    document.addEventListener('visibilitychange', looked);
    window.addEventListener('online', returned);
    window.addEventListener('offline', lost);
    return () => {
      document.removeEventListener('visibilitychange', looked);
      window.removeEventListener('online', returned);
      window.removeEventListener('offline', lost);
    };
  },
};
