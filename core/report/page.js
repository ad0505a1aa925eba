'use strict';
const report = JSON.parse(document.getElementById('data').textContent);
const svgSpace = 'http://www.w3.org/2000/svg';
const kWidth = 640, kHeight = 300, kLeft = 62, kRight = 12, kTop = 12, kBottom = 40;

// Texts come from files of strangers: they become text nodes, never markup.
function make(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) made.setAttribute(name, value);
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}
function draw(tag, attributes, ...children) {
  const made = document.createElementNS(svgSpace, tag);
  for (const [name, value] of Object.entries(attributes || {})) made.setAttribute(name, value);
  made.append(...children);
  return made;
}
const colour = (index) => `var(--c${index % 8})`;
const placeOf = (series, index) => (series.place === undefined ? index : series.place);
const dash = (index) => ['', '7 4', '2 3', '9 3 2 3'][Math.floor(index / 8) % 4];

function number(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return '-';
  const size = Math.abs(value);
  if (size >= 1e9) return `${+(value / 1e9).toPrecision(4)} G`;
  if (size >= 1e6) return `${+(value / 1e6).toPrecision(4)} M`;
  if (size >= 1e4) return `${+(value / 1e3).toPrecision(4)} k`;
  return String(+value.toPrecision(4));
}
// As programs print them: accuracies, shares of work and decisions, operations.
const known = (value) => value !== null && value !== undefined && Number.isFinite(value);
const percent = (share) => (known(share) ? `${(100 * share).toFixed(2)} %` : '-');
const part = (share) => (known(share) ? `${(100 * share).toFixed(1)} %` : '-');
function operations(count) {
  if (!known(count)) return '-';
  const [size, unit] = [[1e10, 1e9, ' G'], [1e6, 1e6, ' M'], [1e4, 1e3, ' k']].filter(([least]) => count >= least)
    .map((one) => one.slice(1))[0] || [1, ''];
  return unit ? (count / size).toFixed(2) + unit : count.toFixed(0);
}
function milliseconds(value) {
  if (!known(value)) return '-';
  return value.toFixed([0.9995, 9.995, 99.95].filter((least) => value < least).length);
}
const isDensity = (metric) => /(density|sparsity)$/.test(metric);
const nameOf = (metric) => metric.replace(/gate_density$/, 'density').replaceAll('_', ' ');
const metricText = (metric, value) => (isDensity(metric) ? part(value) : number(value));
// Bits say something where some numbers are quantised.
const isNarrow = (evaluation) => evaluation !== undefined && evaluation.average_bits > 0 && evaluation.average_bits < 32;

// About five round numbers from low to high.
function ticks(low, high, least) {
  const rough = Math.max((high - low) / 5 || 1, least || 0);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough);
  const found = [];
  for (let at = Math.ceil(low / step - 1e-9) * step; at <= high + step * 1e-9; at += step) found.push(+at.toPrecision(12));
  return found;
}
function extent(values) {
  let low = Infinity, high = -Infinity;
  for (const value of values) { low = Math.min(low, value); high = Math.max(high, value); }
  if (low > high) return [0, 1];
  if (low === high) return [low - (Math.abs(low) || 1) * 0.1, high + (Math.abs(high) || 1) * 0.1];
  return [low, high];
}

// A chart of lines or points: {title, x, y, series: [{name, points: [[x, y, label]], line, dots, place}]}. The legend
// switches series, dragging zooms, a double click shows everything again. Series of one place, which is that in the
// chart unless it is given, have one colour in all charts.
class Chart {
  constructor(options) {
    Object.assign(this, options);
    this.hidden = new Set();
    this.range = null;
    this.svg = draw('svg', {viewBox: `0 0 ${kWidth} ${kHeight}`, role: 'img', 'aria-label': this.title});
    this.tip = make('div', {class: 'tip', hidden: ''});
    this.figure = make('figure', {class: 'chart'}, make('h3', {}, this.title), this.svg, this.tip, this.legend());
    this.svg.addEventListener('pointermove', (event) => this.hover(event));
    this.svg.addEventListener('pointerleave', () => this.leave());
    this.svg.addEventListener('pointerdown', (event) => { this.from = this.place(event)[0]; });
    this.svg.addEventListener('pointerup', (event) => this.zoom(event));
    this.svg.addEventListener('dblclick', () => { this.range = null; this.paint(); });
    this.paint();
  }
  legend() {
    const legend = make('div', {class: 'legend'});
    this.series.forEach((series, index) => {
      const place = placeOf(series, index);
      const line = make('i', {style: `border-color: ${colour(place)}; border-top-style: ${dash(place) ? 'dashed' : 'solid'}`});
      const button = make('button', {type: 'button', 'aria-pressed': 'true'}, line, series.name);
      button.addEventListener('click', () => {
        this.hidden[this.hidden.has(index) ? 'delete' : 'add'](index);
        button.setAttribute('aria-pressed', String(!this.hidden.has(index)));
        this.paint();
      });
      legend.append(button);
    });
    return legend;
  }
  shown() { return this.series.map((series, index) => [series, index]).filter(([, index]) => !this.hidden.has(index)); }
  paint() {
    const inside = ([x]) => !this.range || (x >= this.range[0] && x <= this.range[1]);
    const points = this.shown().flatMap(([series]) => series.points.filter(inside));
    const labelled = points.some((point) => point[2]);  // such a point is large, and its name stands above
    const around = ([low, high], share) => [low - share * (high - low), high + share * (high - low)];
    this.xs = this.range || around(extent(points.map((point) => point[0])), labelled ? 0.04 : 0);
    this.ys = around(extent(points.map((point) => point[1])), labelled ? 0.12 : 0.05);
    this.svg.replaceChildren();
    this.axes();
    const clip = `clip${Chart.made = (Chart.made || 0) + 1}`;
    this.svg.append(draw('clipPath', {id: clip}, draw('rect', {x: kLeft, y: kTop, width: kWidth - kLeft - kRight,
      height: kHeight - kTop - kBottom})));
    const group = draw('g', {'clip-path': `url(#${clip})`});
    for (const [series, index] of this.shown()) this.one(group, series, placeOf(series, index));
    this.marks = draw('g');
    this.svg.append(group, this.marks);
  }
  atX(x) { return kLeft + (x - this.xs[0]) / (this.xs[1] - this.xs[0]) * (kWidth - kLeft - kRight); }
  atY(y) { return kHeight - kBottom - (y - this.ys[0]) / (this.ys[1] - this.ys[0]) * (kHeight - kTop - kBottom); }
  axes() {
    const bottom = kHeight - kBottom;
    for (const y of ticks(...this.ys)) {
      this.svg.append(draw('line', {class: 'grid', x1: kLeft, x2: kWidth - kRight, y1: this.atY(y), y2: this.atY(y)}),
        draw('text', {x: kLeft - 6, y: this.atY(y) + 4, 'text-anchor': 'end'}, number(y)));
    }
    for (const x of ticks(...this.xs, this.x === 'epoch' ? 1 : 0)) {
      this.svg.append(draw('line', {class: 'grid', x1: this.atX(x), x2: this.atX(x), y1: bottom, y2: bottom + 4}),
        draw('text', {x: this.atX(x), y: bottom + 17, 'text-anchor': 'middle'}, number(x)));
    }
    this.svg.append(draw('text', {x: (kLeft + kWidth - kRight) / 2, y: kHeight - 5, 'text-anchor': 'middle'}, this.x),
      draw('text', {x: 13, y: (kTop + bottom) / 2, 'text-anchor': 'middle', transform: `rotate(-90 13 ${(kTop + bottom) / 2})`}, this.y));
  }
  one(group, series, place) {
    const at = series.points.map(([x, y]) => `${this.atX(x).toFixed(1)},${this.atY(y).toFixed(1)}`);
    const stroke = `stroke: ${colour(place)}`;
    if (series.line !== false && at.length > 1) {
      group.append(draw('polyline', {class: 'plot', style: stroke, points: at.join(' '), 'stroke-dasharray': series.dash || dash(place)}));
    }
    if (series.dots === false || (series.line !== false && at.length > 40)) return;
    series.points.forEach(([x, y, label]) => {
      group.append(draw('circle', {cx: this.atX(x), cy: this.atY(y), r: label ? 5 : 2.5, style: `fill: ${colour(place)}`}));
      if (label) group.append(draw('text', {x: this.atX(x) + (this.atX(x) > kWidth * 0.7 ? -8 : 8), y: this.atY(y) - 6,
        'text-anchor': this.atX(x) > kWidth * 0.7 ? 'end' : 'start'}, label));
    });
  }
  // Of a pointer, in the units of the drawing.
  place(event) {
    const box = this.svg.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width * kWidth, (event.clientY - box.top) / box.height * kHeight];
  }
  value(px) { return this.xs[0] + (px - kLeft) / (kWidth - kLeft - kRight) * (this.xs[1] - this.xs[0]); }
  hover(event) {
    const [px] = this.place(event);
    const every = this.shown().flatMap(([series]) => series.points);
    if (every.length === 0) return;
    const x = every.reduce((best, point) => (Math.abs(this.atX(point[0]) - px) < Math.abs(this.atX(best[0]) - px) ? point : best))[0];
    const lines = this.shown().map(([series]) => [series.name, series.points.find((point) => point[0] === x)])
      .filter(([, point]) => point).sort((a, b) => b[1][1] - a[1][1]).map(([name, point]) => `${name}  ${number(point[1])}`);
    this.marks.replaceChildren(draw('line', {class: 'cursor', x1: this.atX(x), x2: this.atX(x), y1: kTop, y2: kHeight - kBottom}));
    if (event.buttons && this.from !== undefined) {
      this.marks.append(draw('rect', {class: 'select', x: Math.min(px, this.from), y: kTop, width: Math.abs(px - this.from),
        height: kHeight - kTop - kBottom}));
    }
    const kMost = 18;
    const more = lines.length > kMost ? [`and ${lines.length - kMost} more`] : [];
    this.tip.textContent = [`${this.x} ${number(x)}`, ...lines.slice(0, kMost), ...more].join('\n');
    this.tip.hidden = false;
    const side = px < kWidth / 2 ? 'left' : 'right', other = px < kWidth / 2 ? 'right' : 'left';
    const share = (px < kWidth / 2 ? px : kWidth - px) / kWidth * 100;
    this.tip.style.cssText = `${side}: calc(${share}% + 14px); ${other}: auto; top: 2.5rem`;
  }
  leave() { this.tip.hidden = true; this.marks.replaceChildren(); }
  zoom(event) {
    const [px] = this.place(event), from = this.from;
    this.from = undefined;
    if (from === undefined || Math.abs(px - from) < 12) return;
    this.range = [this.value(Math.min(px, from)), this.value(Math.max(px, from))];
    this.paint();
  }
}

const kUnits = {macs_executed: 'multiply-adds', seconds: 's', images_per_second: 'images/s', data_wait_percent: '%',
  average_bits: 'bits', lr: 'learning rate'};
const kTitles = {lr: 'Learning rate', macs_executed: 'Multiply-adds executed for one image', images_per_second: 'Speed of training',
  data_wait_percent: 'Share of time waiting for data', gradient_norm: 'Norm of the gradient',
  flop_reduction: 'Cost: executed of the dense multiply-adds'};
const kFirst = ['loss', 'accuracy', 'lr'];
const kLast = ['gradient_norm', 'images_per_second', 'data_wait_percent'];
const kNever = ['epoch', 'step', 'seconds', 'sparsity'];

// "val_gate_density/conv1": set "val", metric "gate_density", layer "conv1".
function parts(column) {
  const [, set, metric, layer] = /^(?:(train|val|test)_)?([^/]*)(?:\/(.*))?$/s.exec(column);
  return {set: set || '', metric, layer};
}
// Files have shares from 0 to 1.
function isAccuracy(metric) { return /^(top\d+_)?accuracy$/.test(metric); }
function unit(metric) { return isAccuracy(metric) || isDensity(metric) || metric === 'flop_reduction' ? '%' : kUnits[metric] || ''; }
// A share in per cent, and the cost for how many times fewer multiply-adds there are.
function shownValue(column, value) {
  const {set, metric} = parts(column);
  if (metric === 'flop_reduction') return 100 / value;
  return (set && isAccuracy(metric)) || isDensity(metric) ? 100 * value : value;
}
function title(metric) {
  const name = kTitles[metric] || nameOf(metric);
  return name[0] ? name[0].toUpperCase() + name.slice(1) : name;
}
function points(history, column) {
  const x = history.columns.indexOf('epoch'), y = history.columns.indexOf(column);
  return history.rows.filter((row) => row[x] !== null && row[y] !== null).map((row) => [row[x], shownValue(column, row[y])]);
}
function byMetric(history, layers) {
  const groups = new Map();
  for (const column of history.columns) {
    const {metric, layer} = parts(column);
    if ((layer !== undefined) !== layers || kNever.includes(metric)) continue;
    if (!groups.has(metric)) groups.set(metric, []);
    groups.get(metric).push(column);
  }
  const rank = (metric) => (kFirst.includes(metric) ? kFirst.indexOf(metric) : kLast.includes(metric) ? 100 : 50);
  return [...groups].sort((a, b) => rank(a[0]) - rank(b[0]));
}
const setNames = {train: 'training', val: 'validation', test: 'test', '': 'training'};

function curves(subject) {
  const box = make('div', {class: 'charts'});
  const sets = Object.values(setNames);
  const all = [...new Set(subject.history.columns.map((column) => parts(column).layer).filter((layer) => layer !== undefined))];
  for (const layers of [false, true]) {
    for (const [metric, columns] of byMetric(subject.history, layers)) {
      const series = columns.map((column) => {
        const {set, layer} = parts(column);
        const place = layers ? all.indexOf(layer) : sets.indexOf(setNames[set]);
        return {name: layers ? layer : setNames[set], points: points(subject.history, column), place};
      }).filter((one) => one.points.length > 0);
      if (series.length === 0) continue;
      box.append(new Chart({title: title(metric) + (layers ? ' by layer' : ''), x: 'epoch', y: unit(metric), series}).figure);
    }
  }
  return box;
}

function table(titles, rows, attributes) {
  const body = rows.map((row) => make('tr', row.attributes || {}, ...(row.cells || row).map((cell) =>
    (cell instanceof Element && cell.tagName === 'TD' ? cell : make('td', {}, cell)))));
  return make('div', {class: 'wide'}, make('table', attributes || {}, make('thead', {}, make('tr', {},
    ...titles.map((text) => make('th', {}, text)))), make('tbody', {}, ...body)));
}
function bar(share) {
  return make('span', {class: 'bar'}, make('i', {style: `width: ${Math.max(0, Math.min(1, share)) * 100}%`}));
}
function histogram(threshold) {
  const most = Math.max(...threshold.bins, 1);
  const box = draw('svg', {viewBox: `0 0 ${threshold.bins.length * 6} 20`, style: 'width: 7rem; height: 1.4rem', preserveAspectRatio: 'none'});
  threshold.bins.forEach((count, index) => box.append(draw('rect', {x: index * 6, y: 20 - 20 * count / most, width: 5,
    height: 20 * count / most, style: `fill: ${colour(0)}`})));
  box.append(draw('title', {}, `${number(threshold.min)} to ${number(threshold.max)}`));
  return box;
}
function layerTable(evaluation) {
  const metrics = Object.keys(evaluation.metrics || {}).filter((name) => !kNever.includes(name));
  const timed = evaluation.milliseconds !== undefined, narrow = isNarrow(evaluation);
  const titles = ['layer', 'type', ...metrics.map(nameOf), 'multiply-adds', 'of', 'cost', ...(narrow ? ['bits'] : []),
    ...(timed ? ['ms for a batch'] : []), 'thresholds: mean', 'from', 'to', ''];
  const rows = evaluation.layers.filter((layer) => layer.macs_dense > 0 || layer.threshold).map((layer) => {
    const share = layer.macs_executed / layer.macs_dense, limits = layer.threshold;
    return [layer.name, make('td', {class: 'text'}, layer.type), ...metrics.map((name) => metricText(name, layer[name])),
      operations(layer.macs_executed), operations(layer.macs_dense),
      make('td', {}, layer.macs_dense > 0 ? part(share) : '-', bar(share)), ...(narrow ? [number(layer.average_bits)] : []),
      ...(timed ? [milliseconds(layer.milliseconds)] : []),
      limits ? number(limits.mean) : '-', limits ? number(limits.min) : '-', limits ? number(limits.max) : '-',
      limits ? histogram(limits) : ''];
  });
  return table(titles, rows);
}
function classTable(classes) {
  return table(['class', 'accuracy', 'images'], classes.map((one) =>
    [one.name, make('td', {}, percent(one.accuracy), bar(one.accuracy || 0)), String(one.images)]));
}
function confusion(evaluation) {
  const names = evaluation.classes.map((one) => one.name);
  const rows = evaluation.confusion.map((row, label) => {
    const sum = row.reduce((a, b) => a + b, 0) || 1;
    return [names[label], ...row.map((count, predicted) => {
      const share = Math.round(45 * count / sum);  // text stays readable on it, in light and dark
      const style = `background: color-mix(in srgb, var(${predicted === label ? '--c2' : '--c1'}) ${share}%, transparent)`;
      return make('td', {style, title: `${names[label]} taken for ${names[predicted]}: ${count} of ${sum}`}, count ? String(count) : '');
    })];
  });
  return table(['class \\ taken for', ...names], rows, {class: 'matrix'});
}

// Lines "key = value   # default" of a resolved configuration, section by section; what was set is marked.
function configuration(text) {
  const box = make('div', {});
  let rows = [], name = '', set = 0;
  const close = () => {
    if (rows.length === 0) return;
    const open = set > 0 && !name.startsWith('layer.');
    box.append(make('details', open ? {open: ''} : {}, make('summary', {}, `[${name}]`, make('span', {class: 'faint'}, ` ${set} of ${rows.length} set`)),
      table(['key', 'value', 'from'], rows)));
  };
  for (const line of text.split('\n')) {
    const section = /^\[(.*)\]/.exec(line), entry = /^([\w-]+) = (.*?)(?: +# (.*))?$/.exec(line);
    if (section) {
      close();
      rows = []; set = 0; name = section[1];
    } else if (entry) {
      const isSet = entry[3] !== 'default';
      set += isSet;
      rows.push({attributes: isSet ? {class: 'set'} : {}, cells: [entry[1], make('td', {class: 'text'}, entry[2]),
        make('td', {class: 'text faint'}, entry[3] || '')]});
    }
  }
  close();
  return box;
}

function bytesOf(text) { return Uint8Array.from(atob(text), (c) => c.charCodeAt(0)); }
// Dark to bright without red and green side by side.
function heat(share) { return [Math.round(255 * Math.min(1, 1.6 * share)), Math.round(255 * share ** 1.5), Math.round(90 + 110 * (1 - share))]; }
function picture(width, height, pixel) {
  const canvas = make('canvas', {width, height});
  const context = canvas.getContext('2d'), image = context.createImageData(width, height);
  for (let i = 0; i < width * height; ++i) image.data.set([...pixel(i), 255], 4 * i);
  context.putImageData(image, 0, 0);
  return canvas;
}
// The picture in grey, and over it how much of each pixel's gates is open, `most` being the brightest.
function overlay(one, rgb, layer, shares, most) {
  return picture(one.width, one.height, (i) => {
    const x = Math.floor((i % one.width) * layer.width / one.width), y = Math.floor(Math.floor(i / one.width) * layer.height / one.height);
    const grey = 0.3 * rgb[3 * i] + 0.59 * rgb[3 * i + 1] + 0.11 * rgb[3 * i + 2];
    return heat(shares[y * layer.width + x] / most).map((value) => Math.round(0.7 * value + 0.3 * grey));
  });
}
function maps(subject) {
  const box = make('div', {}), most = new Map();
  for (const layer of subject.maps.flatMap((one) => one.layers)) {
    most.set(layer.name, bytesOf(layer.shares).reduce((a, b) => Math.max(a, b), most.get(layer.name) || 1));
  }
  for (const one of subject.maps) {
    const rgb = bytesOf(one.rgb), row = make('div', {class: 'maps'});
    row.append(make('div', {}, picture(one.width, one.height, (i) => rgb.subarray(3 * i, 3 * i + 3)), 'image'));
    for (const layer of one.layers) {
      const shares = bytesOf(layer.shares);
      row.append(make('div', {}, overlay(one, rgb, layer, shares, most.get(layer.name)), layer.name, make('br'),
        part(layer.density) + (layer.bits ? `, ${number(layer.bits)} bits` : '')));
    }
    const found = one.why === 'found' ? one.label : `${one.label}, found`;
    const verdict = one.label === one.predicted ? found : `${one.label}, taken for ${one.predicted}`;
    box.append(make('h3', {}, `${one.why}: ${verdict}; ${part(one.density)} of its gates are open`), row);
  }
  return box;
}

function evaluatedOn(evaluation) {
  return evaluation && evaluation.images && `${evaluation.images} images of ${evaluation.dataset} (${evaluation.split})`;
}

function facts(subject) {
  const evaluation = subject.evaluation || {};
  const lines = [['state', subject.state], ['epochs', subject.epochs], ['time of training', subject.time],
    ['evaluated on', evaluatedOn(evaluation)],
    ['accuracy', evaluation.accuracy !== undefined && percent(evaluation.accuracy)], ['loss', evaluation.loss && number(evaluation.loss)],
    ...Object.entries(evaluation.metrics || {}).filter(([name]) => !kNever.includes(name)).map(([name, value]) => [nameOf(name), metricText(name, value)]),
    ['multiply-adds for one image', evaluation.macs_dense && `${operations(evaluation.macs_executed)} of ${operations(evaluation.macs_dense)}`],
    ['cost', evaluation.macs_dense && part(evaluation.macs_executed / evaluation.macs_dense)],
    ['bits', isNarrow(evaluation) && number(evaluation.average_bits)],
    ['milliseconds for a batch', evaluation.milliseconds && `${milliseconds(evaluation.milliseconds)} of ${evaluation.batch} images, deployed`],
    ['parameters', evaluation.parameters && String(evaluation.parameters)]];
  return table(['', ''], lines.filter(([, value]) => value).map(([name, value]) => [name, make('td', {class: 'text'}, String(value))]));
}
function section(name, ...content) { document.body.append(make('section', {}, make('h2', {}, name), ...content)); }
function problems(subject) {
  for (const text of subject.problems) document.body.append(make('p', {class: 'bad'}, text));
}

function single(subject) {
  problems(subject);
  section('Result', facts(subject));
  if (subject.history.rows.length > 0) section('Curves', curves(subject));
  const evaluation = subject.evaluation;
  if (evaluation && evaluation.layers) section('Layers', layerTable(evaluation));
  if (subject.maps && subject.maps.length > 0) {
    section('Where it computes', make('p', {class: 'faint'}, 'The share of open gates at each pixel, over the picture: dark is none, bright the most that a pixel of these images has in the layer. Of layers whose gates add bits, the bits on average.'), maps(subject));
  }
  if (evaluation && evaluation.classes) section('Classes', classTable(evaluation.classes));
  if (evaluation && evaluation.confusion) section('Confusion', confusion(evaluation));
  section('Configuration', configuration(subject.config));
  const environment = Object.entries(subject.environment);
  if (environment.length > 0) section('Environment', table(['', ''], environment.map(([name, value]) => [name, make('td', {class: 'text'}, value)])));
}

// The points that no other beats in both: cheaper, or more accurate.
function front(points) {
  return points.filter(([x, y]) => !points.some(([a, b]) => (a <= x && b > y) || (a < x && b >= y))).sort((a, b) => a[0] - b[0]);
}
function tradeOff(name, cost) {
  const all = report.subjects.filter((one) => one.evaluation && one.evaluation.accuracy !== undefined && one.evaluation[cost] !== undefined)
    .map((one) => ({one, point: [one.evaluation[cost], 100 * one.evaluation.accuracy, one.short]}));
  if (all.length === 0) return null;
  const series = [{name: 'networks', points: all.map(({point}) => point), line: false},
    {name: 'Pareto front', points: front(all.map(({point}) => point)).map(([x, y]) => [x, y]), dots: false}];
  const whole = all.filter(({one}) => one.evaluation.bit_operations_executed >= one.evaluation.bit_operations_dense);
  if (whole.length > 0 && whole.length < all.length) {
    const best = Math.max(...whole.map(({point}) => point[1])), [low, high] = extent(all.map(({point}) => point[0]));
    series.push({name: 'best of those that compute everything', points: [[low, best], [high, best]], dots: false, dash: '6 5'});
  }
  return new Chart({title: `Accuracy against ${name.replace(/ for .*/, '')}`, x: name, y: 'accuracy, %', series}).figure;
}
function several() {
  for (const subject of report.subjects) problems(subject);
  const narrow = report.subjects.some((one) => isNarrow(one.evaluation));
  const charts = [tradeOff('multiply-adds for one image', 'macs_executed'),
    narrow ? tradeOff('bit operations for one image', 'bit_operations_executed') : null,
    tradeOff('milliseconds for a batch', 'milliseconds')].filter((one) => one);
  const sets = [...new Set(report.subjects.map((one) => evaluatedOn(one.evaluation)).filter((text) => text))];
  const on = sets.length > 0 ? [make('p', {}, `evaluated on ${sets.join('; ')}`)] : [];
  section('Side by side', ...on, table(report.table.titles, report.table.rows));
  if (charts.length > 0) section('Trade-off', make('div', {class: 'charts'}, ...charts));
  const groups = new Map();
  report.subjects.forEach((subject, place) => {
    for (const [metric, columns] of byMetric(subject.history, false)) {
      const column = columns.find((one) => /^(val|test)_/.test(one)) || columns[0];
      const found = points(subject.history, column);
      if (found.length === 0) continue;
      const called = `${title(metric)}, ${setNames[parts(column).set]}`;
      if (!groups.has(called)) groups.set(called, {metric, series: []});
      groups.get(called).series.push({name: subject.short, points: found, place});
    }
  });
  const box = make('div', {class: 'charts'});
  for (const [called, {metric, series}] of groups) box.append(new Chart({title: called, x: 'epoch', y: unit(metric), series}).figure);
  if (groups.size > 0) section('Curves', box);
}

document.body.replaceChildren(make('h1', {}, report.title), make('p', {class: 'faint'}, report.made));
if (report.subjects.length === 1) single(report.subjects[0]);
else several();
