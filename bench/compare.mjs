// baton against a llama-bench, of llama.cpp or ik_llama.cpp, on the same files:
//   bench/compare PEER_LLAMA_BENCH [MODEL.gguf...] [options]
// Prints a markdown table: tokens per second of both, the ratios of neighbouring runs, and baton's
// share of what this machine's measured peaks allow. bench/METHODOLOGY.md says how and why.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync }
  from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

const usage = `usage: bench/compare PEER_LLAMA_BENCH [MODEL.gguf...] [options]

Without files it makes them: random weights, kept in build/synth/.
  --shape LIST         shapes of \`baton synth\`; one of the form key=value,... per option (llama-3.2-1b)
  --type LIST          weight types of \`baton synth\` (Q4_0,Q8_0)
  --threads LIST       (1 and all of this machine's processors)
  --processors LIST    to pin both to; N threads take the first N (those allowed, other cores first)
  --prefill LIST       tokens of prompts, or none (512)
  --decode-depth LIST  tokens in the cache before decoding, or none (0)
  --decode-tokens N    (64)
  --runs N             of each program per row, in turns (3)
  --isa NAME           instruction set of baton: what BATON_KERNELS takes
  --peer-args=ARGS     settings of the peer, instead of the best of those that it offers
  --baton FILE         (build/release/baton)
  --json FILE          everything that was measured, written after each row`;

// ---- what is asked for ----

class Refusal extends Error {}

function parseOptions(words) {
  const text = { type: 'string' };
  try {
    return parseArgs({ args: words, allowPositionals: true, options: {
      shape: { ...text, multiple: true }, type: text, threads: text, processors: text,
      prefill: { ...text, default: '512' },
      'decode-depth': { ...text, default: '0' }, 'decode-tokens': { ...text, default: '64' },
      runs: { ...text, default: '3' }, isa: text, 'peer-args': text, json: text,
      baton: { ...text, default: process.env.BATON ?? join(root, 'build/release/baton') },
      help: { type: 'boolean', short: 'h' } } });
  } catch (error) {
    throw new Refusal(error.message);
  }
}

function wholeNumber(name, text, min, max) {
  const value = Number(text);
  if (/^[0-9]+$/.test(text) && value >= min && value <= max) return value;
  throw new Refusal(`--${name} ${text}: not a whole number from ${min} to ${max}`);
}

function wholeNumbers(name, text, min, max) {
  return text.split(',').map((part) => wholeNumber(name, part, min, max));
}
const wholeNumbersOrNone = (name, text, min, max) =>
  (text === 'none' ? [] : wholeNumbers(name, text, min, max));

// "0-3,8" as the kernel writes sets of processors.
function processorSet(text) {
  return text.trim().split(',').flatMap((range) => {
    const [first, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}

// Those that this process may use: one of each core first, then their siblings.
function allowedProcessors() {
  const status = readFileSync('/proc/self/status', 'utf8');
  const allowed = processorSet(/^Cpus_allowed_list:\s*(\S+)/m.exec(status)[1]);
  const rank = (cpu) => {
    const siblings = `/sys/devices/system/cpu/cpu${cpu}/topology/thread_siblings_list`;
    return existsSync(siblings) ? processorSet(readFileSync(siblings, 'utf8')).indexOf(cpu) : 0;
  };
  const ranked = allowed.map((cpu) => [rank(cpu), cpu]);
  return ranked.sort(([a, x], [b, y]) => a - b || x - y).map(([, cpu]) => cpu);
}

// ---- running programs ----

// The processors that both are held to; with fewer threads, the first of them.
let processors = [];

// Standard output of a program on the first `threads` processors.
function pinned(threads, program, args, environment = {}) {
  const { error, status, signal, stdout, stderr } = spawnSync(
    'taskset', ['-c', processors.slice(0, threads).join(','), program, ...args],
    { encoding: 'utf8', env: { ...process.env, ...environment }, maxBuffer: 1 << 26 });
  if (error) throw new Error(`taskset: ${error.message}`);
  if (status === 0) return stdout;
  throw new Error(`${basename(program)} ${signal ?? `ended with ${status}`}: ${complaint(stderr)}`);
}

// The line of standard error that says what is wrong.
function complaint(stderr) {
  const lines = stderr.trim().split('\n').filter((each) => !each.startsWith('Run with --help'));
  return lines.pop() ?? 'it does not say why';
}

function checkExecutable(path, what) {
  if (!existsSync(path)) throw new Refusal(`${path}: no such file; ${what}`);
  try {
    if (!statSync(path).isFile()) throw new Error();
    accessSync(path, constants.X_OK);
  } catch {
    throw new Refusal(`${path}: not an executable file; ${what}`);
  }
}

// ---- baton ----

// A test with more is long enough for its first pass to count: no program makes another one.
const kLongTokens = 1024;
const isLong = (test) => test.depth + test.prompt > kLongTokens;

class Baton {
  constructor(path, isa) {
    checkExecutable(path, 'build it with `make build`, or say --baton FILE');
    this.path = resolve(path);
    this.environment = isa === undefined ? {} : { BATON_KERNELS: isa };
  }
  // Standard output of one of its verbs.
  ask(...args) {
    const { status, stdout, stderr } = spawnSync(this.path, args, { encoding: 'utf8', env: {
      ...process.env, ...this.environment } });
    if (status === 0) return stdout;
    throw new Refusal(`baton ${args[0]}: ${complaint(stderr).replace(/^baton: /, '')}`);
  }
  // A model of random weights, made unless it is there.
  synthesize(shape, type) {
    const folder = join(root, 'build/synth');
    const name = `${shape.replace(/=/g, '').replace(/,/g, '-')}-${type}`;
    const file = join(folder, `${name}.gguf`);
    if (existsSync(file)) return file;
    mkdirSync(folder, { recursive: true });
    process.stderr.write(`making ${file}\n`);
    this.ask('synth', '--shape', shape, '--type', type, '-o', `${file}.part`);
    renameSync(`${file}.part`, file);
    return file;
  }
  describe(file) {
    if (!existsSync(file)) throw new Refusal(`${file}: no such file`);
    if (file.includes(',')) throw new Refusal(`${file}: llama-bench takes a comma for the end of a name`);
    const { quantization } = JSON.parse(this.ask('show', file, '--json'));
    return { file, name: basename(file, '.gguf').replace(`-${quantization}`, ''), type: quantization };
  }
  measure(file, threads, test) {
    const args = ['bench', '-m', file, '--threads', `${threads}`, '-r', '1', '--shares', '--json',
      '-p', `${test.prompt || 1}`, '-n', `${test.decode}`, '--depth', `${test.depth}`];
    if (isLong(test)) args.push('--short-warm-up');
    const result = JSON.parse(pinned(threads, this.path, args, this.environment));
    const phase = test.decode ? 'decode' : 'prefill';
    return { ...result, rate: result[`${phase}_tokens_per_s`], limit: result[`${phase}_limit_tokens_per_s`] };
  }
}

// ---- the peer ----

class Peer {
  constructor(path, told) {
    checkExecutable(path, 'PEER_LLAMA_BENCH is the llama-bench of a built llama.cpp or ik_llama.cpp');
    this.path = resolve(path);
    const { stdout, stderr } = spawnSync(this.path, ['--help'], { encoding: 'utf8', timeout: 60000 });
    this.help = `${stdout}${stderr}`;
    if (!this.line('-p', '--n-prompt') || !this.line('-n', '--n-gen') || !this.line('-r', '--repetitions')) {
      throw new Refusal(`${path}: not a llama-bench: its --help does not list --n-prompt, --n-gen and ` +
        '--repetitions');
    }
    const split = (text) => text.split(' ').filter(Boolean);
    this.attention = (told === undefined ? this.attentionSettings() : [told]).map(split);
    this.weights = (told === undefined ? this.weightsSettings() : ['']).map(split);
    this.chosen = new Map();  // of this.weights, by file, threads and phase
  }
  // The line of --help about a flag, or nothing.
  line(...flags) {
    return this.help.split('\n').find((line) => flags.every((flag) => line.split(/[\s,]+/).includes(flag)));
  }
  // Flash attention, and without: not every head size has a fast one.
  attentionSettings() {
    const about = this.line('-fa');
    if (!about) return [''];
    return /<on\|off/.test(about) ? ['-fa on', '-fa off'] : ['-fa 1', '-fa 0'];
  }
  // Weights repacked, as they are, and as they are in huge pages, where that is to be asked for.
  weightsSettings() {
    if (!this.line('-rtr')) return [''];
    return ['-rtr 1', '-rtr 0', ...(this.line('-thp') ? ['-rtr 0 -thp 1'] : [])];
  }
  // Flags of a test. The last sample of a process counts.
  flags({ prompt, decode, depth }) {
    if (prompt) return ['-p', `${prompt}`, '-n', '0'];
    if (!depth) return ['-p', '0', '-n', `${decode}`];
    if (this.line('-d', '--n-depth')) return ['-p', '0', '-n', `${decode}`, '-d', `${depth}`];
    if (this.line('-gp')) return ['-p', '0', '-n', '0', '-gp', `${depth},${decode}`];
    throw new Error('this llama-bench cannot decode at a depth');
  }
  measure(file, threads, test, settings) {
    const output = pinned(threads, this.path, ['-m', file, '-t', `${threads}`, ...this.flags(test),
      '-r', isLong(test) ? '1' : '2', '-o', 'json', ...settings]);
    // Field by field: what it prints is not always JSON, warnings get in between.
    const field = (name) => {
      const found = new RegExp(`"${name}": *("[^"]*"|\\[[^\\]]*\\])`).exec(output);
      return found ? JSON.parse(found[1]) : undefined;
    };
    const samples = field('samples_ns') ?? [];
    if (samples.length === 0) throw new Error('the peer printed no samples_ns');
    const gpu = field('gpu_info');
    if (gpu) throw new Refusal(`the peer may use ${gpu}: build it for the CPU alone`);
    const seconds = samples[samples.length - 1] / 1e9;
    return { build: field('build_commit'), rate: (test.prompt || test.decode) / seconds };
  }
}

// ---- a row ----

const load = () => Number(readFileSync('/proc/loadavg', 'utf8').split(' ')[0]);

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}
const digits = (value) => (value >= 100 ? 0 : value >= 10 ? 1 : 2);
function spread(values, places = digits(median(values))) {
  const show = (value) => value.toFixed(places);
  return `${show(median(values))} (${show(Math.min(...values))}..${show(Math.max(...values))})`;
}

// The peaks that make up a row's limit: of the weights' products, and of attention.
function limitedBy({ decode }, type, { bf16_ops_per_s, float_ops_per_s }) {
  if (decode) return 'read';
  const weights = { F32: 'f32', F16: 'bf16', BF16: 'bf16' }[type] ?? 'int8';
  const attention = bf16_ops_per_s > 1.1 * float_ops_per_s ? 'bf16' : 'f32';
  return weights === attention ? weights : `${weights}+${attention}`;
}

// Runs the peer with its settings, which warms it up, and returns the fastest, and the rate of the
// file's own blocks where others were tried beside them. First what to do with the weights, which is
// kept for later prefills, or decodes, of this file and thread count; then other ways to attend.
function bestSettings(peer, file, threads, test) {
  const key = `${file} ${threads} ${test.decode > 0}`;
  let best, plain, why;
  const attend = (attention, weights) => {
    const settings = [...attention, ...weights];
    try {
      const { rate } = peer.measure(file, threads, test, settings);
      process.stderr.write(`  peer ${settings.join(' ')}: ${rate.toFixed(2)}\n`);
      if (weights.join(' ') === '-rtr 0') plain ??= rate;
      if (!best || rate > best.rate) best = { settings, weights, rate };
    } catch (error) {
      if (error instanceof Refusal) throw error;
      process.stderr.write(`  peer ${settings.join(' ')}: ${error.message}\n`);
      why = error;
    }
  };
  const [first, ...others] = peer.attention;
  for (const weights of peer.chosen.has(key) ? [peer.chosen.get(key)] : peer.weights) attend(first, weights);
  const { weights } = best ?? { weights: peer.weights[0] };
  for (const attention of others) attend(attention, weights);
  if (!best) throw why;
  peer.chosen.set(key, weights);
  return { settings: best.settings, plain };
}

// `doing`, unless it fails: then undefined, and why is noted in the row.
function attempt(row, who, doing) {
  try {
    return doing();
  } catch (error) {
    if (error instanceof Refusal) throw error;
    process.stderr.write(`  ${error.message}\n`);
    row[`${who}_error`] = error.message;
    return undefined;
  }
}

function compare(baton, peer, model, threads, test, runs) {
  const row = { model: model.name, type: model.type, file: model.file, threads, test: test.name,
    load: load(), baton_tokens_per_s: [], peer_tokens_per_s: [], ratios: [], limits_tokens_per_s: [],
    peaks: [] };
  const { settings, plain } = attempt(row, 'peer', () => bestSettings(peer, model.file, threads, test)) ?? {};
  row.peer_settings = settings?.join(' ');
  row.peer_plain_tokens_per_s = plain;
  const measureOurs = (what) => attempt(row, 'baton', () => baton.measure(model.file, threads, what));
  measureOurs(isLong(test) ? { ...test, depth: 0, prompt: Math.min(test.prompt, 512) } : test);  // warms up
  for (let run = 0; run < runs && row.baton_error === undefined; ++run) {
    const ours = measureOurs(test);
    if (!ours) break;
    row.limited_by = limitedBy(test, model.type, ours);
    row.baton_tokens_per_s.push(ours.rate);
    row.limits_tokens_per_s.push(ours.limit);
    row.peaks.push({ int8_ops_per_s: ours.int8_ops_per_s, bf16_ops_per_s: ours.bf16_ops_per_s,
      float_ops_per_s: ours.float_ops_per_s, read_bytes_per_s: ours.read_bytes_per_s });
    const theirs = row.peer_error === undefined &&
      attempt(row, 'peer', () => peer.measure(model.file, threads, test, settings));
    if (!theirs) continue;
    row.peer_build = theirs.build;
    row.peer_tokens_per_s.push(theirs.rate);
    row.ratios.push(ours.rate / theirs.rate);
    process.stderr.write(`  baton ${ours.rate.toFixed(2)}, peer ${theirs.rate.toFixed(2)}\n`);
  }
  return row;
}

const kHeader = '| model | type | threads | test | baton tok/s | peer tok/s | ratio | baton, of limit | ' +
  'peer, of limit | peer set to |\n|---|---|---|---|---|---|---|---|---|---|';

function line(row) {
  const share = (rates) => {
    const shares = rates.map((rate, run) => rate / row.limits_tokens_per_s[run]);
    return `${(100 * median(shares)).toFixed(0)} % ${row.limited_by}`;
  };
  const cell = (values, show) => (values.length > 0 ? show(values) : '-');
  const plain = row.peer_plain_tokens_per_s;
  const others = plain && row.peer_settings?.includes('-rtr 1')
    ? ` (the file's own blocks: ${plain.toFixed(digits(plain))})` : '';
  const remark = row.baton_error ?? row.peer_error ?? row.peer_settings + others;
  return `| ${[row.model, row.type, row.threads, row.test, cell(row.baton_tokens_per_s, (rates) => spread(rates)),
    cell(row.peer_tokens_per_s, (rates) => spread(rates)), cell(row.ratios, (ratios) => spread(ratios, 2)),
    cell(row.baton_tokens_per_s, share), cell(row.peer_tokens_per_s, share),
    remark.replace(/[|\n]/g, ' ')].join(' | ')} |`;
}

// ---- all of it ----

function machine() {
  const name = /^model name\s*:\s*(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? 'unknown';
  return `${name}, processors ${processors.join(' ')}, load ${load()}`;
}

function commit() {
  const { status, stdout } = spawnSync('git', ['describe', '--always', '--dirty'],
    { cwd: root, encoding: 'utf8' });
  return status === 0 ? stdout.trim() : 'unknown';
}

function peaksLine(threads, rows) {
  const peaks = rows.filter((row) => row.threads === threads).flatMap((row) => row.peaks);
  if (peaks.length === 0) return '';
  const of = (field, scale) => (median(peaks.map((peak) => peak[field])) / scale).toPrecision(3);
  return `Peaks with ${threads} thread${threads > 1 ? 's' : ''}: int8 ${of('int8_ops_per_s', 1e9)} Gop/s, ` +
    `bf16 ${of('bf16_ops_per_s', 1e9)}, f32 ${of('float_ops_per_s', 1e9)} GFLOP/s, ` +
    `read ${of('read_bytes_per_s', 1e9)} GB/s.`;
}

function plannedTests(options) {
  const decode = wholeNumber('decode-tokens', options['decode-tokens'], 1, 1 << 16);
  const prompts = wholeNumbersOrNone('prefill', options.prefill, 1, 1 << 20);
  const depths = wholeNumbersOrNone('decode-depth', options['decode-depth'], 0, 1 << 20);
  const tests = [
    ...prompts.map((prompt) => ({ name: `prefill ${prompt}`, prompt, decode: 0, depth: 0 })),
    ...depths.map((depth) => ({ name: `decode at ${depth}`, prompt: 0, decode, depth }))];
  if (tests.length === 0) throw new Refusal('--prefill none --decode-depth none: nothing is left to measure');
  return tests;
}

function plannedThreads(options) {
  processors = options.processors === undefined ? allowedProcessors()
    : wholeNumbers('processors', options.processors, 0, 1 << 16);
  const all = processors.length;
  if (options.threads === undefined) return all > 1 ? [1, all] : [1];
  return wholeNumbers('threads', options.threads, 1, all);
}

function plannedModels(baton, options, files) {
  const { shape = ['llama-3.2-1b'], type = 'Q4_0,Q8_0' } = options;
  const wanted = files.length === 0 || options.shape !== undefined || options.type !== undefined;
  const shapes = wanted ? shape.flatMap((text) => (text.includes('=') ? [text] : text.split(','))) : [];
  const made = shapes.flatMap((each) => type.split(',').map((one) => baton.synthesize(each, one)));
  return [...files.map((file) => resolve(file)), ...made].map((file) => baton.describe(file));
}

function main() {
  const { values: options, positionals: [peer_path, ...files] } = parseOptions(process.argv.slice(2));
  if (options.help) return console.log(usage);
  if (peer_path === undefined) throw new Refusal(`PEER_LLAMA_BENCH is missing\n${usage}`);
  const tests = plannedTests(options);
  const runs = wholeNumber('runs', options.runs, 1, 1000);
  const thread_counts = plannedThreads(options);
  const peer = new Peer(peer_path, options['peer-args']);
  const baton = new Baton(options.baton, options.isa);
  const models = plannedModels(baton, options, files);
  if (options.isa !== undefined) baton.ask('bench', '-m', models[0].file, '-p', '1', '-n', '0', '-r', '1');

  if (load() > 0.5) {
    process.stderr.write(`compare: load ${load()}: others are at work here, which distorts ratios, too\n`);
  }
  const isa = options.isa ?? 'the best kernels';
  const result = { commit: commit(), machine: machine(), isa, peer: peer.path, rows: [] };
  console.log(`baton ${result.commit} with ${isa}; ${result.machine}\n\n${kHeader}`);
  for (const model of models) {
    for (const threads of thread_counts) {
      for (const test of tests) {
        process.stderr.write(`${model.name} ${model.type}, threads ${threads}, ${test.name}\n`);
        result.rows.push(compare(baton, peer, model, threads, test, runs));
        console.log(line(result.rows[result.rows.length - 1]));
        if (options.json) writeFileSync(options.json, `${JSON.stringify(result, null, 1)}\n`);
      }
    }
  }
  const built = result.rows.map((row) => row.peer_build).find(Boolean);
  console.log(`\nMedians (least..most) of ${runs} runs in turns; peer build ${built ?? 'unknown'}.`);
  for (const threads of thread_counts) console.log(peaksLine(threads, result.rows));
  if (result.rows.some((row) => row.baton_error)) process.exitCode = 1;
}

try {
  main();
} catch (error) {
  console.error(`compare: ${error.message}`);
  process.exitCode = error instanceof Refusal ? 2 : 1;
}
