// What the node is asked. All addresses are relative to the page, so that it works behind a path as well.

/** How long an answer may take, ms. */
const PATIENCE = 10_000;

/** An answer that is an error, or none at all. */
export class ApiError extends Error {
  /** `status` is that of HTTP, 0 where nothing answered; `code` that of JSON-RPC. */
  constructor(message, { status = 0, code = null, retryAfter = null } = {}) {
    super(message);
    Object.assign(this, { status, code, retryAfter });
  }
}

export const url = (path) => new URL(path, document.baseURI).href;

async function ask(path, options) {
  let response;
  try {
    response = await fetch(url(path), { cache: 'no-store', signal: AbortSignal.timeout(PATIENCE), ...options });
  } catch {
    throw new ApiError('the node does not answer');
  }
  const body = await response.json().catch(() => null);
  if (response.ok && body !== null) return body;
  const unclear = response.ok ? 'its answer could not be read' : `it answered with status ${response.status}`;
  const said = body?.error?.message ?? body?.error ?? unclear;
  throw new ApiError(String(said), { status: response.status, retryAfter: Number(response.headers.get('retry-after')) || null });
}

/** A REST route. */
export const get = (path) => ask(path, {});

/** Several JSON-RPC calls in one request: `[[method, ...params]]`. Each is a result or an `ApiError`. */
export async function batch(calls) {
  const body = calls.map(([method, ...params], id) => ({ jsonrpc: '2.0', id, method, params }));
  const headers = { 'content-type': 'application/json' };
  const answers = await ask('./', { method: 'POST', headers, body: JSON.stringify(body) });
  // A batch that is refused as a whole has one answer.
  if (!Array.isArray(answers)) throw new ApiError(String(answers.error?.message ?? 'the node did not answer the batch'), { status: 200 });
  const byId = new Map(answers.map((answer) => [answer.id, answer]));
  return calls.map((_, id) => outcome(byId.get(id)));
}

function outcome(answer) {
  if (answer === undefined) return new ApiError('the node left the question out');
  if (!answer.error) return answer.result;
  return new ApiError(answer.error.message, { status: 200, code: answer.error.code });
}

/** One JSON-RPC call. */
export async function rpc(method, ...params) {
  const [result] = await batch([[method, ...params]]);
  if (result instanceof ApiError) throw result;
  return result;
}

/** A quantity of Ethereum's JSON-RPC as a number. */
export const number = (quantity) => Number(BigInt(quantity));

/** A number as a quantity. */
export const quantity = (value) => `0x${value.toString(16)}`;
