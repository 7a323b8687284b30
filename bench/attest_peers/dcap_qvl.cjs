// Peer of bench/attest_bench: npm @phala/dcap-qvl on the samples that have collateral. Usage: node dcap_qvl.cjs VECTORS
const fs = require('fs');
const { verify } = require('@phala/dcap-qvl/src/verify');

const root = process.argv[2];
const samples = [
  ['tdx/v4-tdx10-uptodate', 1751328000, 'accept'],
  ['tdx/v5-tdx15-below-all-levels', 1772323200, 'reject'],
  ['sgx/v3-confignswhardening', 1751328000, 'accept-policy'],
];

function variants(quote) {
  const longer = Buffer.concat([quote, Buffer.from([0])]);
  return [['', quote], [' + one byte', longer]];
}

for (const [name, at, wanted] of samples) {
  const raw = fs.readFileSync(`${root}/${name}.bin`);
  const collateral = JSON.parse(fs.readFileSync(`${root}/${name}.collateral.json`, 'utf8'));
  for (const key of ['root_ca_crl', 'pck_crl', 'tcb_info_signature', 'qe_identity_signature'])
    collateral[key] = new Uint8Array(Buffer.from(collateral[key], 'hex'));
  for (const [suffix, quote] of variants(raw)) {
    const line = { peer: 'dcap-qvl', sample: name + suffix, wanted: suffix ? 'reject' : wanted };
    try {
      line.verdict = 'accepted: ' + verify(new Uint8Array(quote), collateral, at).status;
      let n = 0;
      const start = process.hrtime.bigint();
      while (process.hrtime.bigint() - start < 1000000000n) {
        verify(new Uint8Array(quote), collateral, at);
        n++;
      }
      line.per_second = Math.round(n * 1e9 / Number(process.hrtime.bigint() - start));
    } catch (error) {
      line.verdict = 'refused';
      line.error = String(error.message || error);
    }
    console.log(JSON.stringify(line));
  }
}
