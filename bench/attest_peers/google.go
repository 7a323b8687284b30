// google/go-sev-guest and google/go-tdx-guest on the genuine samples.
package main

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
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
	VerifyAt    int64  `json:"verify_at"`
}

type line struct {
	Peer    string `json:"peer"`
	Sample  string `json:"sample"`
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

var seconds float64

// say prints the verdict; when timing, how often a second the accepted is verified.
func say(peer, sample string, verify func() error) {
	l := line{Peer: peer, Sample: sample, Verdict: "accepted"}
	if err := verify(); err != nil {
		l.Verdict, l.Error = "refused", err.Error()
	} else if seconds > 0 {
		n, start := 0, time.Now()
		for time.Since(start).Seconds() < seconds {
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
	say("go-sev-guest", "sev-snp/"+name, func() error {
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

func quote(root, name string, e expectation) {
	raw := must(os.ReadFile(filepath.Join(root, "tdx", name)))
	say("go-tdx-guest", "tdx/"+name, func() error {
		return tdx.RawTdxQuote(raw, &tdx.Options{Now: at(e)})
	})
}

func expectations(root, folder string) map[string]expectation {
	var all map[string]expectation
	if err := json.Unmarshal(must(os.ReadFile(filepath.Join(root, folder, "expect.json"))), &all); err != nil {
		panic(err)
	}
	return all
}

func main() {
	runtime.GOMAXPROCS(1)
	root, timed := os.Args[2], os.Args[1] == "bench"
	if timed {
		seconds = must(strconv.ParseFloat(os.Args[3], 64))
	}
	for name, e := range expectations(root, "sev-snp") {
		if e.Endorsement != "" && (!timed || name == "genoa-v3-report.bin") {
			snp(root, name, e)
		}
	}
	for name, e := range expectations(root, "tdx") {
		if e.Verdict != "" && (!timed || name == "v4-tdx10-uptodate.bin") {
			quote(root, name, e)
		}
	}
}
