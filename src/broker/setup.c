#include "broker/setup.h"

#include "base/mem.h"
#include "crypto/hash.h"
#include "crypto/random.h"
#include "crypto/x509.h"
#include "wire/cbor.h"
#include "wire/json.h"
#include "wire/text.h"

#define ADMIN_ARN "arn:aws:iam::" BULLA_WRAPPING_ACCOUNT ":user/bulla-admin"
#define CENTURY_END INT64_C(4102444800) /* 2100-01-01 */

bulla_rc bulla_setup_path(const char *folder, const char *name, char ret[PATH_MAX])
{
	bulla_bytes a = bulla_bytes_str(folder), b = bulla_bytes_str(name);

	if (a.n == 0 || a.n + b.n + 2 > PATH_MAX)
		return BULLA_FAIL(BULLA_E_ARGUMENT, "a path is empty or too long");
	bulla_copy(ret, a.p, a.n);
	ret[a.n] = '/';
	bulla_copy(ret + a.n + 1, b.p, b.n);
	ret[a.n + 1 + b.n] = '\0';
	return BULLA_OK;
}

/* The ES256 key in this sealed file, made when it is not there; pkcs8: its DER, wiped by the owner. */
static bulla_rc sign_key(struct bulla_broker *broker, const char *name, struct bulla_buf *ret_pkcs8,
	struct bulla_sign_key **ret)
{
	BULLA_AUTO_SIGN_KEY key = NULL;
	bulla_rc rc = bulla_cells_read_file(broker->cells, name, ret_pkcs8);

	if (rc == BULLA_E_NOT_FOUND) {
		BULLA_TRY(bulla_sign_key_new(BULLA_ES256, &key));
		BULLA_TRY(bulla_sign_key_export(key, ret_pkcs8));
		BULLA_TRY(bulla_cells_write_file(broker->cells, name, bulla_buf_view(ret_pkcs8)));
		*ret = bulla_take(&key);
		return BULLA_OK;
	}
	BULLA_TRY(rc);
	return bulla_sign_key_import(bulla_buf_view(ret_pkcs8), ret);
}

static bulla_rc certificate(struct bulla_broker *broker, const char *path, struct bulla_sign_key *key,
	struct bulla_buf *ret)
{
	uint8_t serial[16];
	struct bulla_cert_spec spec = {
		.common_name = "bulla-kms",
		.serial = BULLA_BYTES_ARRAY(serial),
		.spki = bulla_sign_key_spki(key),
		.not_before = bulla_wall_ms(broker->clock) / 1000 - 86400,
		.not_after = CENTURY_END, /* the key is what is pinned; dates mean nothing */
		.pathlen = -1,
		.usage = BULLA_USAGE_SIGNATURE,
	};
	bulla_rc rc = bulla_sys_read_file(path, ret);

	if (rc == BULLA_OK)
		return BULLA_OK;
	if (rc != BULLA_E_NOT_FOUND)
		return rc;
	BULLA_TRY(bulla_random_fill(broker->random, serial, sizeof(serial)));
	BULLA_TRY(bulla_cert_write(&spec, key, ret));
	return bulla_sys_write_file(path, bulla_buf_view(ret), 0644);
}

static bulla_rc tls_context(struct bulla_broker *broker, const char *folder, struct bulla_buf *ret_spki)
{
	BULLA_AUTO_SIGN_KEY key = NULL;
	BULLA_AUTO_BUF pkcs8, der;
	char path[PATH_MAX];

	bulla_buf_init(&pkcs8, 1024);
	bulla_buf_init(&der, BULLA_CERT_MAX);
	BULLA_TRY(bulla_setup_path(folder, "tls.crt", path));
	BULLA_TRY(sign_key(broker, "tls.key", &pkcs8, &key));
	BULLA_TRY(certificate(broker, path, key, &der));
	BULLA_TRY(bulla_buf_append(ret_spki, bulla_sign_key_spki(key)));
	broker->epochs.tls = *bulla_sign_key_kid(key);
	return bulla_tls_server_new(bulla_buf_view(&pkcs8), bulla_buf_view(&der), &broker->tls);
}

static bulla_rc write_public(struct bulla_broker *broker, const char *folder, bulla_bytes tls_spki)
{
	uint8_t memory[1024];
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	char path[PATH_MAX];
	bulla_bytes bytes;

	bulla_cbor_wr_array(&w, 3);
	bulla_cbor_wr_uint(&w, 1);
	bulla_cbor_wr_bytes(&w, tls_spki);
	bulla_cbor_wr_bytes(&w, bulla_sign_key_spki(broker->ledger_key));
	BULLA_TRY(bulla_wr_end(&w, &bytes));
	BULLA_TRY(bulla_setup_path(folder, "public", path));
	return bulla_sys_write_file(path, bytes, 0644);
}

/* {"access_key", "secret_key", "arn", "region"}; the names aws tools want are in the manual. */
static bulla_rc write_admin(struct bulla_broker *broker, const char *path)
{
	uint8_t memory[512], id[8], secret[24], text[64];
	bulla_wr hex = bulla_wr_fixed(text, sizeof(text));
	bulla_wr w = bulla_wr_fixed(memory, sizeof(memory));
	bulla_json_wr j = bulla_json_wr_of(&w);
	bulla_bytes view, bytes;
	bulla_rc rc;

	BULLA_TRY(bulla_random_fill(broker->random, id, sizeof(id)));
	BULLA_TRY(bulla_random_fill(broker->random, secret, sizeof(secret)));
	bulla_text_wr(&hex, "BKID");
	bulla_text_wr_hex(&hex, BULLA_BYTES_ARRAY(id));
	BULLA_TRY(bulla_wr_end(&hex, &view));
	bulla_json_wr_object(&j);
	bulla_json_wr_name(&j, "access_key");
	bulla_json_wr_string(&j, view);
	bulla_json_wr_name(&j, "secret_key");
	bulla_json_wr_hex(&j, BULLA_BYTES_ARRAY(secret));
	bulla_json_wr_name(&j, "arn");
	bulla_json_wr_str(&j, ADMIN_ARN);
	bulla_json_wr_name(&j, "region");
	bulla_json_wr_str(&j, BULLA_WRAPPING_REGION);
	bulla_json_wr_object_end(&j);
	rc = bulla_wr_end(&w, &bytes);
	if (rc == BULLA_OK)
		rc = bulla_sys_write_file(path, bytes, 0600);
	bulla_wipe(memory, sizeof(memory));
	bulla_wipe(secret, sizeof(secret));
	return rc;
}

static bulla_rc field(bulla_json root, const char *name, bulla_bytes *ret)
{
	bulla_json value;

	BULLA_TRY(bulla_json_get_str(root, name, &value));
	return bulla_json_string_view(value, ret);
}

static bulla_rc admin(struct bulla_broker *broker, const char *folder)
{
	char path[PATH_MAX];
	bulla_json root;
	bulla_rc rc;

	BULLA_TRY(bulla_setup_path(folder, "admin.json", path));
	rc = bulla_sys_read_file(path, &broker->admin);
	if (rc == BULLA_E_NOT_FOUND) {
		BULLA_TRY(write_admin(broker, path));
		rc = bulla_sys_read_file(path, &broker->admin);
	}
	BULLA_TRY(rc);
	BULLA_TRY(bulla_json_parse(bulla_buf_view(&broker->admin), &root));
	BULLA_TRY(field(root, "access_key", &broker->credential.access_key));
	BULLA_TRY(field(root, "secret_key", &broker->credential.secret_key));
	BULLA_TRY(field(root, "arn", &broker->admin_arn));
	broker->credential.region = BULLA_BYTES_LITERAL(BULLA_WRAPPING_REGION);
	broker->credential.service = BULLA_BYTES_LITERAL("kms");
	return BULLA_OK;
}

bulla_rc bulla_setup_keys(struct bulla_broker *broker, const char *path)
{
	BULLA_AUTO_BUF pkcs8, spki;

	bulla_buf_init(&pkcs8, 1024);
	bulla_buf_init(&spki, 1024);
	BULLA_TRY(sign_key(broker, "ledger.key", &pkcs8, &broker->ledger_key));
	BULLA_TRY(bulla_verify_key_spki(bulla_sign_key_spki(broker->ledger_key), &broker->ledger_public));
	broker->epochs.ledger = *bulla_sign_key_kid(broker->ledger_key);
	BULLA_TRY(tls_context(broker, path, &spki));
	BULLA_TRY(admin(broker, path));
	return write_public(broker, path, bulla_buf_view(&spki));
}
