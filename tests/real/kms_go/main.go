// A stock AWS SDK for Go v2 against bulla-kms: reads {endpoint, region, access_key, secret_key, key, context, documents} on
// stdin, prints what came back. The documents are made by the test; this program knows nothing of Bulla.
package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"net/http"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/smithy-go"
)

type wanted struct {
	Endpoint  string            `json:"endpoint"`
	Region    string            `json:"region"`
	AccessKey string            `json:"access_key"`
	SecretKey string            `json:"secret_key"`
	Key       string            `json:"key"`
	Context   map[string]string `json:"context"`
	Documents [][]byte          `json:"documents"`
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return "none"
}

func main() {
	var w wanted
	must(json.NewDecoder(os.Stdin).Decode(&w))
	ctx := context.Background()
	client := kms.New(kms.Options{
		Region: w.Region, BaseEndpoint: aws.String(w.Endpoint), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(w.AccessKey, w.SecretKey, ""),
		HTTPClient:  &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}},
	})
	out := map[string]any{}

	made, err := client.CreateKey(ctx, &kms.CreateKeyInput{Description: aws.String("from Go")})
	must(err)
	out["created"] = made.KeyMetadata.Arn
	sealed, err := client.Encrypt(ctx, &kms.EncryptInput{KeyId: made.KeyMetadata.Arn, Plaintext: []byte("plain text")})
	must(err)
	opened, err := client.Decrypt(ctx, &kms.DecryptInput{CiphertextBlob: sealed.CiphertextBlob})
	must(err)
	out["opened"] = string(opened.Plaintext)

	_, err = client.GenerateDataKey(ctx, &kms.GenerateDataKeyInput{KeyId: &w.Key, KeySpec: types.DataKeySpecAes256, EncryptionContext: w.Context})
	out["without"] = code(err)
	recipient := func(document []byte) *types.RecipientInfo {
		return &types.RecipientInfo{KeyEncryptionAlgorithm: types.KeyEncryptionMechanismRsaesOaepSha256, AttestationDocument: document}
	}
	born, err := client.GenerateDataKey(ctx, &kms.GenerateDataKeyInput{KeyId: &w.Key, KeySpec: types.DataKeySpecAes256,
		EncryptionContext: w.Context, Recipient: recipient(w.Documents[0])})
	must(err)
	again, err := client.Decrypt(ctx, &kms.DecryptInput{CiphertextBlob: born.CiphertextBlob, EncryptionContext: w.Context, Recipient: recipient(w.Documents[1])})
	must(err)
	_, err = client.Decrypt(ctx, &kms.DecryptInput{CiphertextBlob: born.CiphertextBlob, EncryptionContext: w.Context, Recipient: recipient(w.Documents[1])})
	out["replayed"] = code(err)
	out["born"], out["again"] = born.CiphertextForRecipient, again.CiphertextForRecipient
	out["plaintexts"] = len(born.Plaintext) + len(again.Plaintext)
	must(json.NewEncoder(os.Stdout).Encode(out))
}
