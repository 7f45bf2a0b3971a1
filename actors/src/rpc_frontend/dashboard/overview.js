// The overview: the map, the table of actors and all panels, drawn anew whenever the feed has something new.

import { ActorMap } from './actor_map.js';
import { showActors } from './actor_table.js';
import { byId } from './dom.js';
import * as panels from './panels.js';

export class Overview {
  constructor() {
    this.map = new ActorMap(byId('map'));
    this.header = { role: byId('role'), phase: byId('phase'), connection: byId('connection') };
  }

  show(feed) {
    panels.showHeader(feed, this.header);
    panels.showLost(byId('lost'), feed);
    panels.showFooter(byId('footer'), feed);
    panels.showAlerts(byId('alerts'), feed.status);
    panels.showHead(byId('head'), feed);
    panels.showSync(byId('sync'), feed);
    panels.showPool(byId('pool'), feed);
    panels.showStages(byId('stages'), feed);
    panels.showBlocks(byId('blocks'), feed);
    panels.showPeers(byId('peers'), feed);
    panels.showRefusals(byId('refusals'), feed);
    this.map.update(feed);
    if (feed.actors) showActors(byId('actors').querySelector('table'), feed.actors);
    document.title = title(feed);
  }
}

function title({ status, connection }) {
  if (connection === 'lost') return 'Disconnected – Callboard';
  if (!status || status.phase === 'genesis') return 'Callboard';
  return `${status.head.height} ${status.phase} – Callboard`;
}
