// npm @phala/dcap-qvl on the samples that have collateral.
const fs = require('fs');
const { verify } = require('@phala/dcap-qvl/src/verify');

const [mode, root, seconds] = process.argv.slice(2);
const samples = [
  ['tdx/v4-tdx10-uptodate', 1751328000],
  ['tdx/v5-tdx15-below-all-levels', 1772323200],
  ['sgx/v3-confignswhardening', 1751328000],
];

function timed(run) {
  const start = process.hrtime.bigint(), most = BigInt(Math.round(Number(seconds) * 1e9));
  let n = 0;
  for (; process.hrtime.bigint() - start < most; n++) run();
  return Math.round(n * 1e9 / Number(process.hrtime.bigint() - start));
}

for (const [name, at] of samples) {
  const raw = fs.readFileSync(`${root}/${name}.bin`);
  const collateral = JSON.parse(fs.readFileSync(`${root}/${name}.collateral.json`, 'utf8'));
  for (const key of ['root_ca_crl', 'pck_crl', 'tcb_info_signature', 'qe_identity_signature'])
    collateral[key] = new Uint8Array(Buffer.from(collateral[key], 'hex'));
  for (const suffix of mode === 'bench' ? [''] : ['', ' + 00']) {
    const quote = new Uint8Array(suffix ? Buffer.concat([raw, Buffer.from([0])]) : raw);
    const line = { peer: 'dcap-qvl (npm)', sample: `${name}.bin${suffix}` };
    try {
      line.status = verify(quote, collateral, at).status;
      line.verdict = 'accepted';
      if (mode === 'bench') line.per_second = timed(() => verify(quote, collateral, at));
    } catch (error) {
      line.verdict = 'refused';
      line.error = String(error.message || error);
    }
    console.log(JSON.stringify(line));
  }
}
