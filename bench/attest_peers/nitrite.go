// hf/nitrite on the genuine Nitro documents.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"github.com/hf/nitrite"
)

func main() {
	runtime.GOMAXPROCS(1)
	root, timed, seconds := os.Args[2], os.Args[1] == "bench", 0.0
	if timed {
		seconds, _ = strconv.ParseFloat(os.Args[3], 64)
	}
	var all map[string]struct {
		VerifyAt int64 `json:"verify_at"`
	}
	text, err := os.ReadFile(filepath.Join(root, "nitro", "expect.json"))
	if err != nil || json.Unmarshal(text, &all) != nil {
		panic(err)
	}
	for name, e := range all {
		if timed && name != "doc-2025-12-25-indefinite.cbor" {
			continue
		}
		document, _ := os.ReadFile(filepath.Join(root, "nitro", name))
		at := time.Unix(e.VerifyAt, 0)
		line := map[string]any{"peer": "nitrite", "sample": "nitro/" + name, "verdict": "accepted"}
		verify := func() error {
			_, err := nitrite.Verify(document, nitrite.VerifyOptions{CurrentTime: at})
			return err
		}
		if err := verify(); err != nil {
			line["verdict"], line["error"] = "refused", err.Error()
		} else if timed {
			n, start := 0, time.Now()
			for time.Since(start).Seconds() < seconds {
				_ = verify()
				n++
			}
			line["per_second"] = int(float64(n) / time.Since(start).Seconds())
		}
		out, _ := json.Marshal(line)
		fmt.Println(string(out))
	}
}
