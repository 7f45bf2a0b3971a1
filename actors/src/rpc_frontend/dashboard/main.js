// Starts the page, and shows what the part of the address after # names.

import { byId } from './dom.js';
import { showDetails } from './details.js';
import { Feed } from './feed.js';
import { Overview } from './overview.js';
import { startSearch } from './search.js';

const overview = new Overview();
const feed = new Feed((state) => {
  overview.show(state);
  details?.onHead(head());
});
let details = null;
const head = () => feed.status?.head.height;

/** `#/block/5` is a page, everything else is the overview. */
function route() {
  const [, kind, id] = /^#\/(block|tx|address)\/([^/]+)$/.exec(location.hash) ?? [];
  details?.leave();
  byId('overview').hidden = Boolean(kind);
  byId('details').hidden = !kind;
  details = kind ? showDetails(byId('details'), kind, decode(id), head()) : null;
}

function decode(id) {
  try {
    return decodeURIComponent(id);
  } catch {
    return id;
  }
}

addEventListener('hashchange', () => {
  if (location.hash !== '' && !location.hash.startsWith('#/')) return;
  route();
  byId('content').focus({ preventScroll: true });
  scrollTo(0, 0);
});
document.querySelector('.skip').addEventListener('click', (event) => {
  event.preventDefault();
  byId('content').focus();
});
startSearch();
route();
feed.start();
// The age of what is shown while the connection is lost.
setInterval(() => feed.connection === 'lost' && feed.touch(), 1_000);
