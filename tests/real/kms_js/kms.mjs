// A stock AWS SDK for JavaScript v3 against bulla-kms: reads {endpoint, region, access_key, secret_key, key, context, documents}
// on stdin, prints what came back. The documents are made by the test; this program knows nothing of Bulla.
import { CreateKeyCommand, DecryptCommand, EncryptCommand, GenerateDataKeyCommand, KMSClient } from "@aws-sdk/client-kms";
import { readFileSync } from "node:fs";

const w = JSON.parse(readFileSync(0, "utf8"));
const client = new KMSClient({
  endpoint: w.endpoint, region: w.region, maxAttempts: 1,
  credentials: { accessKeyId: w.access_key, secretAccessKey: w.secret_key },
});
const call = (Command, input) => client.send(new Command(input));
const code = (promise) => promise.then(() => "none", (error) => error.name);
const recipient = (document) => ({ KeyEncryptionAlgorithm: "RSAES_OAEP_SHA_256", AttestationDocument: Buffer.from(document, "base64") });
const base64 = (bytes) => Buffer.from(bytes).toString("base64");
const context = { KeyId: w.key, EncryptionContext: w.context };

const made = (await call(CreateKeyCommand, { Description: "from JavaScript" })).KeyMetadata;
const sealed = await call(EncryptCommand, { KeyId: made.Arn, Plaintext: Buffer.from("plain text") });
const opened = await call(DecryptCommand, { CiphertextBlob: sealed.CiphertextBlob });
const without = await code(call(GenerateDataKeyCommand, { ...context, KeySpec: "AES_256" }));
const born = await call(GenerateDataKeyCommand, { ...context, KeySpec: "AES_256", Recipient: recipient(w.documents[0]) });
const decrypt = { EncryptionContext: w.context, CiphertextBlob: born.CiphertextBlob, Recipient: recipient(w.documents[1]) };
const again = await call(DecryptCommand, decrypt);
const replayed = await code(call(DecryptCommand, decrypt));
console.log(JSON.stringify({
  created: made.Arn, opened: Buffer.from(opened.Plaintext).toString(), without, replayed,
  born: base64(born.CiphertextForRecipient), again: base64(again.CiphertextForRecipient),
  plaintexts: (born.Plaintext?.length ?? 0) + (again.Plaintext?.length ?? 0),
}));
