"""PyPI dcap-qvl on the samples that have collateral."""
import json
import sys
import time

import dcap_qvl

mode, root = sys.argv[1:3]
SAMPLES = [("tdx/v4-tdx10-uptodate", 1751328000), ("tdx/v5-tdx15-below-all-levels", 1772323200),
           ("sgx/v3-confignswhardening", 1751328000)]


def timed(run, seconds):
    n, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        run()
        n += 1
    return round(n / (time.perf_counter() - start))


for name, at in SAMPLES:
    with open(f"{root}/{name}.bin", "rb") as file:
        raw = file.read()
    with open(f"{root}/{name}.collateral.json", encoding="ascii") as file:
        collateral = dcap_qvl.QuoteCollateralV3.from_json(file.read())
    for suffix in [""] if mode == "bench" else ["", " + 00"]:
        quote = raw + (b"\0" if suffix else b"")
        line = {"peer": "dcap-qvl (PyPI)", "sample": f"{name}.bin{suffix}", "verdict": "accepted"}
        try:
            line["status"] = str(dcap_qvl.verify(quote, collateral, at).status)
            if mode == "bench":
                line["per_second"] = timed(lambda: dcap_qvl.verify(quote, collateral, at), float(sys.argv[3]))
        except Exception as error:
            line["verdict"], line["error"] = "refused", str(error)
        print(json.dumps(line))
