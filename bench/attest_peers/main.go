// Peers of bench/attest_bench: google/go-sev-guest and google/go-tdx-guest on the same samples, same core. One line of JSON
// per sample: verdict, error, verifications per second. Usage: attestpeers VECTORS (the folder that BULLA_VECTORS names).
package main

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/google/go-sev-guest/abi"
	spb "github.com/google/go-sev-guest/proto/sevsnp"
	sev "github.com/google/go-sev-guest/verify"
	tdx "github.com/google/go-tdx-guest/verify"
)

type expectation struct {
	Verdict     string `json:"verdict"`
	Endorsement string `json:"endorsement"`
	Product     string `json:"product"`
	ValidFrom   string `json:"valid_from"`
	CspID       string `json:"csp_id"`
}

type line struct {
	Peer    string `json:"peer"`
	Sample  string `json:"sample"`
	Wanted  string `json:"wanted"`
	Verdict string `json:"verdict"`
	Error   string `json:"error,omitempty"`
	Rate    int    `json:"per_second,omitempty"`
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// measure repeats for a second when it verifies.
func measure(l line, verify func() error) {
	if err := verify(); err != nil {
		l.Verdict, l.Error = "refused", err.Error()
	} else {
		l.Verdict = "accepted"
		n, start := 0, time.Now()
		for time.Since(start) < time.Second {
			_ = verify()
			n++
		}
		l.Rate = int(float64(n) / time.Since(start).Seconds())
	}
	fmt.Println(string(must(json.Marshal(l))))
}

func at(e expectation) time.Time {
	t, err := time.Parse("2006-01-02 15:04:05", e.ValidFrom)
	if err != nil {
		return time.Unix(1700000000, 0)
	}
	return t.Add(24 * time.Hour)
}

func ders(path string) [][]byte {
	var out [][]byte
	for rest := must(os.ReadFile(path)); ; {
		block, tail := pem.Decode(rest)
		if block == nil {
			return out
		}
		out, rest = append(out, block.Bytes), tail
	}
}

func snp(root, name string, e expectation) {
	report := must(os.ReadFile(filepath.Join(root, "sev-snp", name)))
	leaf := must(os.ReadFile(filepath.Join(root, "sev-snp", e.Endorsement)))
	product := strings.ToLower(strings.Split(e.Product, "-")[0])
	kind := "ask"
	if e.CspID != "" {
		kind = "asvk"
	}
	chain := ders(filepath.Join(root, "roots", "amd-"+product+"-"+kind+"-ark.pem"))
	measure(line{Peer: "go-sev-guest", Sample: name, Wanted: e.Verdict}, func() error {
		parsed, err := abi.ReportToProto(report)
		if err != nil {
			return err
		}
		certs := &spb.CertificateChain{AskCert: chain[0], ArkCert: chain[1]}
		if kind == "ask" {
			certs.VcekCert = leaf
		} else {
			certs.VlekCert = leaf
		}
		return sev.SnpAttestation(&spb.Attestation{Report: parsed, CertificateChain: certs},
			&sev.Options{DisableCertFetching: true, Now: at(e)})
	})
}

func quote(root, folder, name string, e expectation) {
	raw := must(os.ReadFile(filepath.Join(root, folder, name)))
	measure(line{Peer: "go-tdx-guest", Sample: name, Wanted: e.Verdict}, func() error {
		return tdx.RawTdxQuote(raw, &tdx.Options{Now: at(e)})
	})
}

func main() {
	runtime.GOMAXPROCS(1)
	root := os.Args[1]
	for _, folder := range []string{"sev-snp", "tdx"} {
		var all map[string]expectation
		if err := json.Unmarshal(must(os.ReadFile(filepath.Join(root, folder, "expect.json"))), &all); err != nil {
			panic(err)
		}
		for name, e := range all {
			if folder == "sev-snp" && e.Endorsement != "" {
				snp(root, name, e)
			} else if folder == "tdx" && e.Verdict != "" {
				quote(root, folder, name, e)
			}
		}
	}
}
