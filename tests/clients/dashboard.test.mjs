// The dashboard in a real browser, of real nodes: a follower that catches up and its authority.

import assert from 'node:assert/strict';
import { faint, overflow, says, text, withBrowser } from './support/browser.mjs';
import { confirm, fillWithWork, transfer, transfers, wallet } from './support/chain.mjs';
import { step, story } from './support/network.mjs';
import { until } from './support/until.mjs';

/** Each takes the follower some tens of milliseconds. */
const BLOCKS = 150;
const SOON = 20_000;
const HOSTILE = '<img src=x onerror="alert(1)"><script>alert(2)</script>';
const hex = (text) => `0x${Buffer.from(text).toString('hex')}`;
const grouped = (number) => number.toLocaleString('en-US');

/** A transfer of account 0 that carries `data`; its receipt. */
async function send(node, data = '0x') {
  const from = wallet(0);
  const nonce = Number(await node.rpc('eth_getTransactionCount', from.address, 'latest'));
  return confirm(node, [await transfer(from, nonce, { data, gasLimit: 300_000n, value: 1_230_000_000_000_000_000n })]);
}

/** What the page says of the head and the newest blocks, read at one instant. */
const shown = (page) =>
  page.evaluate(() => {
    const title = (element) => element?.querySelector('[title]')?.title;
    const head = document.getElementById('head');
    const rows = [...document.querySelectorAll('#blocks tbody tr')];
    return {
      height: Number(head.dataset.height),
      hash: title(head.querySelector('[data-slot="hash"]')),
      blocks: rows.map((row) => ({ height: Number(row.dataset.height), hash: title(row.cells[1]), tx_count: Number(row.cells[2].textContent) })),
    };
  });

/** What the API says of a block. */
async function block(node, height) {
  const { body } = await node.get(`/rpc/blocks-range?start=${height}&end=${height}&include_tx=false`);
  return body.blocks[0];
}

/** Types into the search, and waits for the page that it leads to. */
async function search(page, query, title) {
  await page.fill('#query', query);
  await page.keyboard.press('Enter');
  await says(page, '#details h1', title);
}

/** Waits until something goes from one box of the map to the other. A straight line has no area, so it counts as hidden. */
const lit = (page, flow, edge) => page.waitForSelector(`.flow.lit[data-flow="${flow}"][data-edge="${edge}"]`, { state: 'attached' });

/** The value of a fact on the page of a block, a transaction or an address. */
const fact = (page, name) => text(page, `#details dl > div:has(> dt:text-is("${name}")) > dd`);

story('the dashboard shows a follower that catches up, and then each block as it comes', withBrowser(async (network, t, browser) => {
  // No block but those of this test, however long it takes.
  const authority = await network.authority({ 'authority.block_interval_ms': 0, 'genesis.heartbeat_s': 3_600 }).start();
  const hostile = await send(authority, hex(HOSTILE));
  const target = await fillWithWork(authority, BLOCKS);
  const values = { 'sync.commit_ms': 40, 'sync.commit_transactions': 4, 'genesis.file': await network.genesisFile(authority) };
  // The page is there before the first block is.
  authority.process.kill('SIGSTOP');
  const follower = await network.follower('follower', [authority], values).start();
  const page = await browser.page(follower);
  await says(page, '#connection', 'Live');
  await says(page, '#head [data-slot="height"]', '0');
  authority.process.kill('SIGCONT');

  await step(t, 'while it catches up, what it says is so', async () => {
    await says(page, '#phase', 'Catching up');
    await says(page, '#sync [data-slot="target"]', grouped(target));
    await until('the head on the page has moved', SOON, async () => {
      const { height, hash } = await shown(page);
      if (height > 0) assert.equal(hash, (await block(follower, height)).hash, `block ${height}`);
      return height > 0 && height < target;
    });
    const bar = page.locator('#sync .track');
    assert.match(await bar.getAttribute('aria-valuetext'), new RegExp(`^block \\d+ of ${target}$`));
    await says(page, '#stages .bottleneck .label', /^Execute/);
    await says(page, '#sync [data-slot="bottleneck"]', /Executing transactions holds the sync up/);
    await lit(page, 'import', 'verifier ConfirmedState');
    assert.equal(await page.locator('.flow.lit[data-flow="broadcast"]').count(), 0, 'a follower that catches up relays nothing');
  });

  await step(t, 'at the head, every value is the API\'s', async () => {
    await follower.reaches(target, 120_000);
    await says(page, '#phase', 'Following');
    await says(page, '#head [data-slot="height"]', grouped(target));
    const { body } = await follower.get(`/rpc/blocks-range?start=${target - 9}&end=${target}&include_tx=false`);
    const expected = body.blocks.reverse().map(({ height, hash, tx_count }) => ({ height, hash, tx_count }));
    await until('the newest blocks are there', SOON, async () => (await shown(page)).blocks[0].height === target);
    assert.deepEqual(await shown(page), { height: target, hash: expected[0].hash, blocks: expected });
    const { role, peers } = await follower.status();
    assert.equal(role, 'follower');
    await says(page, '#role', 'Follower');
    assert.equal(await page.locator('#peers li').count(), peers.length);
    assert.equal(await page.locator('#peers li .who [title]').first().getAttribute('title'), peers[0].id);
    await says(page, '#peers li .chip', 'agrees');
    await says(page, '#peers li .numbers', `block ${grouped(target)}`);
    const names = (await follower.rpc('callboard_actors')).map(({ actor }) => actor);
    assert.deepEqual(await page.locator('#actors > table > tbody > .row .toggle').allTextContents(), names);
    const store = page.locator('#actors tbody[data-actor="BlockStore"]');
    const { handled } = (await follower.rpc('callboard_actors')).find(({ actor }) => actor === 'BlockStore');
    await store.locator('.toggle').click();
    const cell = store.locator('.messages tr', { hasText: 'StoreBatch' }).locator('[data-column="handled"]');
    await until('messages are counted as by the API', SOON, async () => (await cell.textContent()) === grouped(handled));
    await says(page, '#pool [data-slot="pending"]', '0');
    const genesis = (await block(follower, 0)).hash;
    assert.equal(await page.locator('#footer [title]').first().getAttribute('title'), genesis);
  });

  await step(t, 'a block that is sealed is there without a reload, and the map shows which way it went', async () => {
    const sealing = await browser.page(authority);
    await says(sealing, '#role', 'Authority');
    await says(sealing, '#connection', 'Live');
    await page.evaluate(() => (globalThis.sameDocument = true));
    const receipt = await send(authority);
    const height = Number(receipt.blockNumber);
    await Promise.all([
      says(page, '#head [data-slot="height"]', grouped(height)),
      lit(page, 'import', 'ConfirmedState BlockStore'),
      lit(page, 'broadcast', 'BlockStore Broadcaster'),
      lit(sealing, 'broadcast', 'Proposer ConfirmedState'),
      lit(sealing, 'transaction', 'rpc TxPool'),
    ]);
    assert.equal(await sealing.locator('.flow.lit[data-flow="import"]').count(), 0, 'an authority imports nothing');
    const { hash, blocks } = await shown(page);
    assert.deepEqual([hash, blocks[0]], [receipt.blockHash, { height, hash: receipt.blockHash, tx_count: 1 }]);
    assert.ok(await page.evaluate(() => globalThis.sameDocument));
    await sealing.close();
  });

  await step(t, 'a refused block lights the third colour and is listed with its reason', async () => {
    const bytes = await follower.rpc('callboard_getSealedBlock', target);
    // The last byte is the seal's parity.
    const forged = bytes.slice(0, -2) + (bytes.endsWith('00') ? '01' : '00');
    const next = await follower.post('/rpc/importBlock', { raw: `${forged}` });
    assert.equal(next.status, 422);
    await says(page, '#refusals li', /seal/);
    const [{ message }] = await follower.rpc('callboard_rejections', { limit: 1 });
    assert.equal(await text(page, '#refusals li p:nth-child(2)'), message);
  });

  await step(t, 'blocks, transactions and addresses are found, and their pages say what the API says', async () => {
    await search(page, grouped(target), `Block ${grouped(target)}`);
    const expected = await follower.rpc('eth_getBlockByNumber', `0x${target.toString(16)}`, false);
    assert.equal(await fact(page, 'Hash'), expected.hash);
    assert.equal(await fact(page, 'State root'), expected.stateRoot);
    assert.match(await fact(page, 'Gas used'), new RegExp(`^${grouped(Number(expected.gasUsed))} of ${grouped(Number(expected.gasLimit))} `));
    const { confirmed } = await follower.rpc('callboard_explainBlock', target);
    assert.equal(await fact(page, 'Routes'), confirmed.passport.routes.join(', '));
    await says(page, '#details summary', `${confirmed.checks.length} of ${confirmed.checks.length} checks hold`);
    await search(page, expected.parentHash, `Block ${grouped(target - 1)}`);

    await search(page, hostile.transactionHash, 'Transaction');
    assert.equal(await fact(page, 'Value'), '1.23 ether');
    assert.equal(await fact(page, 'From'), hostile.from);
    assert.equal(await fact(page, 'Block'), `${Number(hostile.blockNumber)}, place 0`);
    await says(page, '#details .chip', 'confirmed');
    assert.equal(await text(page, '#details .message'), HOSTILE);

    await page.click(`#details dd a[href="#/address/${hostile.from}"]`);
    await says(page, '#details h1', 'Address');
    const { transactions } = await follower.rpc('callboard_getTransactionsByAddress', hostile.from, { limit: 25 });
    const rows = await page.locator('#details tbody td:first-child [title]').evaluateAll((all) => all.map(({ title }) => title).filter((title) => title.startsWith('0x')));
    assert.deepEqual(rows, transactions.map(({ hash }) => hash));
    assert.equal(await fact(page, 'Nonce'), grouped(Number(await follower.rpc('eth_getTransactionCount', hostile.from, 'latest'))));

    await page.fill('#query', `0x${'12'.repeat(32)}`);
    await page.keyboard.press('Enter');
    await says(page, '#answer', /knows neither a block nor a transaction/);
    await page.fill('#query', '<b>0x</b>');
    await page.keyboard.press('Enter');
    await says(page, '#answer', /no block number, no hash/);
    await page.goto(`${follower.url}/#/block/999999`);
    await says(page, '#details [role="alert"]', /^Block 999,999 is not there/);
    await page.click('#details nav a');
    await page.locator('#overview').waitFor({ state: 'visible' });
  });

  await step(t, 'a transaction that waits says for what, and is confirmed on its page once it is', async () => {
    const [first, second] = await transfers(1, 0, 2);
    const hash = await follower.rpc('eth_sendRawTransaction', second);
    await search(page, hash, 'Transaction');
    await says(page, '#details .chip', 'queued');
    assert.equal(await fact(page, 'Waits for'), 'the nonces 0');
    const { timeline } = await follower.rpc('callboard_transactionStatus', hash);
    assert.equal(await text(page, '#details .timeline li b'), timeline[0].step);
    await confirm(follower, [first]);
    await says(page, '#details .chip', 'confirmed');
    await page.click('#details nav a');
  });

  await step(t, 'a node that goes away is said to be gone, and comes back by itself', async () => {
    await follower.kill();
    await says(page, '#connection', 'Disconnected');
    await page.waitForSelector('#lost:not([hidden])');
    await follower.start();
    await says(page, '#connection', 'Live');
    await page.waitForSelector('#lost', { state: 'hidden' });
    const height = Number((await send(authority)).blockNumber);
    await says(page, '#head [data-slot="height"]', grouped(height));
    await until('the new block is listed', SOON, async () => (await shown(page)).blocks[0].height === height);
    assert.ok(await page.evaluate(() => globalThis.sameDocument), 'without a reload');
  });
}));

story('whatever nodes and chains say is text on the dashboard and nothing else', withBrowser(async (network, t, browser) => {
  const node = await network.authority().start();
  const receipt = await send(node, hex(HOSTILE));
  const page = await browser.page(node);
  // Every word of every answer, as a hostile peer, message or reason could have it.
  const poison = (value, name) => {
    if (Array.isArray(value)) return value.map((item) => poison(item, name));
    if (value !== null && typeof value === 'object') return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, poison(item, key)]));
    return typeof value === 'string' && !/^0x|^[0-9]|phase|role/.test(`${value} ${name}`.trim()) ? `${value}${HOSTILE}` : value;
  };
  await page.route((url) => url.pathname === '/', async (route) => {
    if (route.request().method() !== 'POST') return route.continue();
    const response = await route.fetch();
    const answers = await response.json();
    for (const answer of answers) answer.result = poison(answer.result);
    const status = answers.find(({ result }) => result?.phase)?.result;
    if (status) {
      const agreeing = { id: `${HOSTILE}`, url: HOSTILE, height: 1, hash: receipt.blockHash, state: 'agrees' };
      Object.assign(status, { alerts: [HOSTILE], bottleneck: HOSTILE, peers: [agreeing], lastRejection: HOSTILE });
      status.divergence = { height: 1, ours: HOSTILE, theirs: HOSTILE, peer: HOSTILE, lastCommonHeight: 0, remedy: HOSTILE };
      answers.find(({ id }) => id === 2).result = [{ id: HOSTILE, url: HOSTILE, role: HOSTILE, reason: HOSTILE, state: HOSTILE, height: 1 }];
    }
    const [first] = answers;
    if (answers.length === 1 && Array.isArray(first.result)) {
      first.result = [{ height: 1, hash: HOSTILE, check: HOSTILE, message: HOSTILE, sender: HOSTILE, remedy: HOSTILE, time: 1, count: 2 }];
    }
    return route.fulfill({ response, json: answers });
  });
  const inert = async () => {
    const made = await page.evaluate(() => document.querySelectorAll('img:not(.brand img), main script, [onerror]').length);
    assert.equal(made, 0, 'no element came out of an answer');
  };
  await step(t, 'on the overview', async () => {
    for (const at of ['#alerts', '#peers', '#actors', '#alerts .divergence', '#refusals']) {
      await page.waitForFunction(([at, hostile]) => document.querySelector(at).textContent.includes(hostile), [at, HOSTILE]);
    }
    await inert();
  });
  await step(t, 'on the pages of a block, a transaction and an address', async () => {
    for (const [path, title] of [[`tx/${receipt.transactionHash}`, 'Transaction'], ['block/1', 'Block 1'], [`address/${receipt.from}`, 'Address']]) {
      await page.goto(`${node.url}/#/${path}`);
      await says(page, '#details h1', title);
      await page.waitForSelector('#details .card');
      await inert();
    }
    for (const path of [`block/${encodeURIComponent(HOSTILE)}`, 'tx/%', `address/${encodeURIComponent(HOSTILE)}`]) {
      await page.goto(`${node.url}/#/${path}`);
      await page.waitForSelector('#details [role="alert"]');
      await inert();
    }
  });
}));

story('the dashboard can be read and used by everybody', withBrowser(async (network, t, browser) => {
  const authority = await network.authority().start();
  const long = await send(authority, hex('a message '.repeat(120)));
  const follower = await network.follower('follower', [authority]).start();
  await follower.isPhase('following');
  const paths = ['/#/', `/#/block/${Number(long.blockNumber)}`, `/#/tx/${long.transactionHash}`, `/#/address/${long.from}`];
  const settled = async (page, path) => {
    await page.goto(`${follower.url}${path}`);
    await says(page, '#connection', 'Live');
    await page.waitForSelector(path === '/#/' ? '#blocks tbody tr' : '#details .card');
    await page.waitForSelector('#actors tbody', { state: 'attached' });
  };

  await step(t, 'with a keyboard alone', async () => {
    const page = await browser.page(follower, { path: paths[0] });
    await page.keyboard.press('Tab');
    const focus = () => page.evaluate(() => document.activeElement.textContent.trim());
    assert.equal(await focus(), 'Skip to content');
    assert.ok((await page.locator('.skip').boundingBox()).y >= 0, 'it is seen once it has the focus');
    await page.keyboard.press('Enter');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'content');
    await page.keyboard.press('/');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'query');
    await page.keyboard.type('0');
    await page.keyboard.press('Enter');
    await says(page, '#details h1', 'Block 0');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'content', 'reading goes on at the new page');

    await settled(page, '/#/');
    // Blocks come and go; what has to be reached is what was there at one moment, with a mark on each.
    const all = await page.evaluate(() => {
      const found = [...document.querySelectorAll('a, button, input, summary')].filter((element) => element.checkVisibility());
      found.forEach((element) => (element.dataset.wanted = 'yes'));
      document.activeElement.blur();
      return found.length;
    });
    const reached = await reachAll(page, all);
    assert.deepEqual(reached.missed, []);
    assert.deepEqual(reached.unseen, []);
    await page.locator('.toggle').first().focus();
    await page.keyboard.press('Enter');
    assert.equal(await page.locator('.toggle').first().getAttribute('aria-expanded'), 'true');
    await page.locator('#actors .messages').first().waitFor({ state: 'visible' });
  });

  await step(t, 'on a phone', async () => {
    const page = await browser.page(follower, { size: [360, 740] });
    for (const path of paths) {
      await settled(page, path);
      assert.ok((await overflow(page)) <= 0, `${path} is wider than the window`);
      const wide = await page.evaluate(() => [...document.querySelectorAll('main *')].filter((element) => element.checkVisibility() && !element.closest('svg, .off') && element.getBoundingClientRect().right > innerWidth + 1).map(({ className, tagName }) => `${tagName} ${className}`));
      assert.deepEqual(wide, [], path);
    }
    await settled(page, '/#/');
    for (const toggle of await page.locator('.toggle').all()) await toggle.click();
    assert.ok((await overflow(page)) <= 0, 'with every actor opened');
  });

  for (const colorScheme of ['light', 'dark']) {
    await step(t, `in ${colorScheme} colours`, async () => {
      const page = await browser.page(follower, { options: { colorScheme } });
      for (const path of paths) {
        await settled(page, path);
        assert.deepEqual(await faint(page), [], path);
      }
      const dark = () => page.evaluate(() => getComputedStyle(document.documentElement).colorScheme === 'dark');
      await page.click('#theme');
      assert.equal(await dark(), colorScheme === 'light', 'the button gives the other colours');
      assert.deepEqual(await faint(page), []);
      await page.reload();
      assert.equal(await dark(), colorScheme === 'light', 'and they stay');
    });
  }

  await step(t, 'without motion, where none is wanted', async () => {
    const page = await browser.page(authority, { options: { reducedMotion: 'reduce' } });
    await says(page, '#connection', 'Live');
    await send(authority);
    const path = await lit(page, 'broadcast', 'Broadcaster others');
    assert.equal(await path.evaluate((element) => getComputedStyle(element).animationName), 'none');
  });
}));

story('before the genesis is known the dashboard says so, and goes on once it is', withBrowser(async (network, t, browser) => {
  const authority = await network.authority().start();
  const height = Number((await send(authority)).blockNumber);
  await authority.stop();
  const follower = network.follower('follower', [authority]);
  follower.spawn();
  // It writes its addresses down once it has a chain; until then only the log has them.
  const rpc = await until('it listens', SOON, () => /RPC is listening address=(\S+)/.exec(follower.log())?.[1]);
  follower.addresses = { rpc };
  const page = await browser.page(follower);
  await says(page, '#phase', 'Genesis');
  await says(page, '#sync [data-slot="sentence"]', /^The genesis is not known yet/);
  await says(page, '#head [data-slot="height"]', '–');
  await says(page, '#connection', 'Live');
  await authority.start();
  await says(page, '#phase', 'Following');
  await says(page, '#head [data-slot="height"]', String(height));
}));

/** Walks with Tab until every element with a mark has had the focus; which never had it, and which did not show it. */
async function reachAll(page, count) {
  const unseen = [];
  for (let step = 0; step < count + 40; step += 1) {
    await page.keyboard.press('Tab');
    const seen = await page.evaluate(() => {
      const { activeElement: element } = document;
      delete element.dataset.wanted;
      const { outlineStyle, outlineWidth } = getComputedStyle(element);
      const shown = element === document.body || (outlineStyle !== 'none' && parseFloat(outlineWidth) >= 1);
      return shown ? null : element.outerHTML.slice(0, 120);
    });
    if (seen) unseen.push(seen);
  }
  const missed = await page.evaluate(() => [...document.querySelectorAll('[data-wanted]')].map((element) => element.outerHTML.slice(0, 120)));
  return { missed, unseen };
}
