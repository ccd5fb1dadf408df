// What each weight type costs a model: its perplexity, quantised by a llama-quantize, over that of
// the same weights in F32:
//   bench/perplexity PEER_LLAMA_QUANTIZE [MODEL.gguf] [--text FILE] [--baton FILE]
// Prints a markdown table. The text is read line by line; where it spells control tokens, they count.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const usage = 'usage: bench/perplexity PEER_LLAMA_QUANTIZE [MODEL.gguf] [--text FILE] [--baton FILE]';
const types = ['F16', 'BF16', 'Q8_0', 'Q6_K', 'Q5_K', 'Q5_1', 'Q5_0', 'Q4_K', 'Q4_1', 'Q4_0', 'IQ4_NL', 'IQ4_XS',
  'MXFP4', 'Q3_K', 'Q2_K'];

// The names under which llama-quantize makes all matrices of one type.
const quantizers = { Q6_K: ['Q6_K'], Q5_K: ['Q5_K_S'], Q4_K: ['Q4_K_S'], Q3_K: ['Q3_K_S'], Q2_K: ['Q2_K'] };

function run(program, words) {
  const done = spawnSync(program, words, { encoding: 'utf8' });
  if (done.error) throw done.error;
  return { failed: done.status !== 0, stdout: done.stdout, stderr: done.stderr };
}

function perplexity(options, model, ...more) {
  const { failed, stdout, stderr } = run(options.baton,
    ['perplexity', '-m', model, '-f', options.text, '--by-line', '--parse-special', '--json', ...more]);
  if (failed) throw new Error(stderr.trim());
  return JSON.parse(stdout);
}

// The file in that type, or nothing where the tool does not make it.
function quantize(tool, from, folder, type) {
  const into = join(folder, `${type}.gguf`);
  const name = quantizers[type]?.[0] ?? type;
  // --pure: no better type for matrices that matter more.
  const { failed } = run(tool, ['--allow-requantize', '--pure', '--output-tensor-type', type, '--token-embedding-type',
    type, from, into, name, '2']);
  return failed ? null : into;
}

function main() {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: {
    text: { type: 'string', default: join(root, 'bench/perplexity.txt') },
    baton: { type: 'string', default: process.env.BATON ?? join(root, 'build/release/baton') },
    help: { type: 'boolean', short: 'h' } } });
  const [tool, model = join(root, 'models/baton-demo.gguf')] = positionals;
  if (values.help || !tool) {
    console.log(usage);
    return values.help ? 0 : 2;
  }
  const folder = mkdtempSync(join(tmpdir(), 'baton-perplexity-'));
  try {
    const exact = quantize(tool, model, folder, 'F32');
    if (!exact) throw new Error(`${tool} makes no F32 of ${model}`);
    const reference = perplexity(values, exact);
    console.log(`${reference.tokens} tokens; F32: ${reference.perplexity.toFixed(4)} ± ${reference.standard_error.toFixed(3)}\n`);
    console.log('| weights | perplexity | over F32 | with a KV cache of Q8_0 | over F32 |\n|---|---|---|---|---|');
    const over = (value) => `${(100 * (value / reference.perplexity - 1)).toFixed(2)} %`;
    for (const type of ['F32', ...types]) {
      const file = type === 'F32' ? exact : quantize(tool, exact, folder, type);
      if (!file) {
        console.log(`| ${type} | not made by ${tool} | | | |`);
        continue;
      }
      const [halves, blocks] = ['f16', 'q8_0'].map((kv) => perplexity(values, file, '--kv-type', kv).perplexity);
      console.log(`| ${type} | ${halves.toFixed(4)} | ${over(halves)} | ${blocks.toFixed(4)} | ${over(blocks)} |`);
      if (file !== exact) rmSync(file);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
  return 0;
}

try {
  process.exitCode = main();
} catch (error) {
  console.error(`bench/perplexity: ${error.message}`);
  process.exitCode = 1;
}
