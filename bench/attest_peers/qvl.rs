//! crates.io dcap-qvl on the samples that have collateral.
use dcap_qvl::{verify::verify, QuoteCollateralV3};
use std::time::Instant;

const SAMPLES: [(&str, u64); 3] = [
    ("tdx/v4-tdx10-uptodate", 1751328000),
    ("tdx/v5-tdx15-below-all-levels", 1772323200),
    ("sgx/v3-confignswhardening", 1751328000),
];

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let (timed, root) = (args[1] == "bench", &args[2]);
    for (name, at) in SAMPLES {
        let raw = std::fs::read(format!("{root}/{name}.bin")).unwrap();
        let text = std::fs::read_to_string(format!("{root}/{name}.collateral.json")).unwrap();
        let collateral: QuoteCollateralV3 = serde_json::from_str(&text).unwrap();
        for suffix in if timed { &[""][..] } else { &["", " + 00"][..] } {
            let mut quote = raw.clone();
            if !suffix.is_empty() {
                quote.push(0);
            }
            let sample = format!("{name}.bin{suffix}");
            let mut line = serde_json::json!({"peer": "dcap-qvl (crate)", "sample": sample, "verdict": "accepted"});
            match verify(&quote, &collateral, at) {
                Ok(report) => line["status"] = report.status.into(),
                Err(error) => {
                    line["verdict"] = "refused".into();
                    line["error"] = format!("{error:#}").into();
                }
            }
            if timed && line["verdict"] == "accepted" {
                let (seconds, start) = (args[3].parse::<f64>().unwrap(), Instant::now());
                let mut n = 0u64;
                while start.elapsed().as_secs_f64() < seconds {
                    let _ = verify(&quote, &collateral, at);
                    n += 1;
                }
                line["per_second"] = ((n as f64 / start.elapsed().as_secs_f64()) as u64).into();
            }
            println!("{line}");
        }
    }
}
