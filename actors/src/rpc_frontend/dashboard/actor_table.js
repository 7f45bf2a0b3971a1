// The table of actors: state, mailbox, rate, times, refusals; each opens to its messages.

import { count, micros, percent, rate } from './format.js';
import { el, keep, setText } from './dom.js';

const pair = (half, most) => `${micros(half)} / ${micros(most)}`;
const COLUMNS = [
  ['state', 'State', (actor) => actor.state],
  ['mailbox', 'Mailbox', null],
  ['rate', 'Messages/s', (actor) => rate(actor.perSecond)],
  ['busy', 'Busy', (actor) => percent(actor.busy)],
  ['wait', 'Wait p50 / p99', (actor) => pair(actor.waitP50Us, actor.waitP99Us)],
  ['handle', 'Handle p50 / p99', (actor) => pair(actor.handleP50Us, actor.handleP99Us)],
  ['refused', 'Refused', (actor) => count(actor.refused)],
];
const MESSAGE_COLUMNS = [
  ['handled', 'Handled', (message) => count(message.handled)],
  ['depth', 'Waiting', (message) => count(message.depth)],
  ['rate', 'Per second', (message) => rate(message.perSecond)],
  ['wait', 'Wait p50 / p99', (message) => pair(message.waitP50Us, message.waitP99Us)],
  ['handle', 'Handle p50 / p99', (message) => pair(message.handleP50Us, message.handleP99Us)],
  ['refused', 'Refused', (message) => count(message.refused)],
  ['timedOut', 'Timed out', (message) => count(message.timedOut)],
];

const cell = ([name, label]) => el('td', { 'data-column': name, 'data-label': label });
const show = (row, columns, item) => {
  for (const [name, , text] of columns) if (text) setText(row.querySelector(`[data-column="${name}"]`), text(item));
};

/** A body of the table for each actor: its row, and its messages once it is opened. */
function actorBody({ actor }) {
  const id = `messages-${actor}`;
  const toggle = el('button', { type: 'button', class: 'toggle', 'aria-expanded': 'false', 'aria-controls': id }, actor);
  const cells = COLUMNS.map(cell);
  const meter = el('meter', { min: 0, max: 1, 'aria-label': `Mailbox of ${actor}` });
  cells[1].append(el('span', { class: 'mailbox' }, meter, el('span', { class: 'depth' })));
  const inner = el('table', { class: 'messages' }, messageHead(), el('tbody'));
  const more = el('tr', { id, class: 'more', hidden: true }, el('td', { colspan: COLUMNS.length + 1 }, inner, el('p', { class: 'idle' })));
  const body = el('tbody', {}, el('tr', { class: 'row' }, el('th', { scope: 'row' }, toggle), cells), more);
  toggle.addEventListener('click', () => {
    more.hidden = !more.hidden;
    toggle.setAttribute('aria-expanded', String(!more.hidden));
  });
  return body;
}

const messageHead = () =>
  el('thead', {}, el('tr', {}, [['message', 'Message'], ...MESSAGE_COLUMNS].map(([, label]) => el('th', { scope: 'col' }, label))));

function updateActor(body, actor) {
  const [row, more] = body.children;
  show(row, COLUMNS, actor);
  row.dataset.state = actor.state;
  const mailbox = row.querySelector('.mailbox');
  const { mailboxDepth: depth, mailboxCapacity: capacity } = actor;
  Object.assign(mailbox.firstElementChild, { max: capacity, high: capacity * 0.75, low: capacity * 0.5, optimum: 0, value: depth });
  setText(mailbox.lastElementChild, `${count(depth)} of ${count(capacity)}`);
  row.querySelector('[data-column="refused"]').classList.toggle('bad', actor.refused > 0);
  updateMessages(more, actor.messages);
}

/** Kinds that have not come yet are named, and take no row. */
function updateMessages(more, messages) {
  const came = messages.filter(({ handled, refused, depth, timedOut }) => handled + refused + depth + timedOut > 0);
  const make = ({ message }) => el('tr', {}, el('th', { scope: 'row' }, message), MESSAGE_COLUMNS.map(cell));
  keep(more.querySelector('tbody'), came, ({ message }) => message, make, (row, message) => show(row, MESSAGE_COLUMNS, message));
  more.querySelector('table').hidden = came.length === 0;
  const idle = messages.filter((message) => !came.includes(message)).map(({ message }) => message);
  setText(more.querySelector('.idle'), idle.length > 0 ? `Not received so far: ${idle.join(', ')}` : '');
}

/** Shows the actors in the table. */
export function showActors(table, actors) {
  const head = table.tHead.rows[0];
  if (head.cells.length === 0) {
    head.append(...[['actor', 'Actor'], ...COLUMNS].map(([name, label]) => el('th', { scope: 'col', 'data-column': name }, label)));
  }
  const known = [...table.tBodies];
  for (const actor of actors) {
    let body = known.find(({ dataset }) => dataset.actor === actor.actor);
    if (!body) {
      body = actorBody(actor);
      body.dataset.actor = actor.actor;
      table.append(body);
    }
    updateActor(body, actor);
  }
  for (const body of known) if (!actors.some(({ actor }) => actor === body.dataset.actor)) body.remove();
}
