// Prometheus' text format, strictly.

const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)(?: \S+)?$/;
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/y;

/** The samples of a page of metrics. A line that is none, a sample without a type or given twice is an error. */
export function readMetrics(text) {
  const samples = [];
  const types = new Set();
  const series = new Set();
  for (const line of text.split('\n').filter((line) => line !== '')) {
    if (line.startsWith('#')) {
      const [, kind, name] = line.split(' ');
      if (kind === 'TYPE' && types.has(name)) fail(line);
      if (kind === 'TYPE') types.add(name);
      continue;
    }
    const [, name, labels, value] = SAMPLE.exec(line) ?? fail(line);
    if (!types.has(name.replace(/_(total|sum|count|bucket|created)$/, '')) && !types.has(name)) fail(line);
    const id = line.slice(0, line.lastIndexOf(`${value}`));
    if (series.has(id)) fail(line);
    series.add(id);
    samples.push({ name, labels: readLabels(labels ?? '', line), value: readNumber(value, line) });
  }
  const all = (name, labels = {}) => {
    const wanted = Object.entries(labels);
    return samples.filter((sample) => sample.name === name && wanted.every(([k, v]) => sample.labels[k] === v));
  };
  const one = (name, labels) => {
    const found = all(name, labels);
    if (found.length !== 1) throw new Error(`${found.length} samples of ${name}`);
    return found[0].value;
  };
  return { all, one };
}

function readLabels(text, line) {
  const labels = {};
  LABEL.lastIndex = 0;
  while (LABEL.lastIndex < text.length) {
    const [, name, value] = LABEL.exec(text) ?? fail(line);
    labels[name] = value;
  }
  return labels;
}

function readNumber(text, line) {
  const value = Number(text.replace('+Inf', 'Infinity').replace('-Inf', '-Infinity'));
  return Number.isNaN(value) && text !== 'NaN' ? fail(line) : value;
}

function fail(line) {
  throw new Error(`not a line of metrics: ${line}`);
}
