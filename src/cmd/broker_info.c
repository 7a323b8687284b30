#include "cmd/broker_info.h"

#include "crypto/hash.h"
#include "io/sys.h"
#include "wire/cbor.h"
#include "wire/json.h"

#include <stdio.h>

#define PATH_SIZE 1100
#define FILE_MAX 8192

static bulla_rc read_public(struct broker_info *info)
{
	bulla_cbor_rd r = bulla_cbor_rd_of(bulla_buf_view(&info->memory));

	BULLA_TRY(bulla_cbor_rd_expect_array(&r, 3));
	BULLA_TRY(bulla_cbor_rd_expect_int(&r, 1));
	BULLA_TRY(bulla_cbor_rd_bytes_max(&r, 512, &info->tls_spki));
	BULLA_TRY(bulla_cbor_rd_bytes_max(&r, 512, &info->ledger_spki));
	bulla_sha256(info->tls_spki, &info->tls_pin);
	return bulla_cbor_rd_end(&r);
}

static bulla_rc read_field(bulla_json object, const char *name, bulla_bytes *ret)
{
	bulla_json value;

	BULLA_TRY(bulla_json_get_str(object, name, &value));
	return bulla_json_string_view(value, ret);
}

static bulla_rc read_admin(struct broker_info *info)
{
	bulla_json root;

	BULLA_TRY(bulla_json_parse(bulla_buf_view(&info->admin), &root));
	BULLA_TRY(read_field(root, "access_key", &info->access_key));
	BULLA_TRY(read_field(root, "secret_key", &info->secret_key));
	return read_field(root, "arn", &info->arn);
}

static bulla_rc read_both(const char *state, struct broker_info *info)
{
	char path[PATH_SIZE];

	snprintf(path, sizeof(path), "%s/broker/public", state);
	BULLA_TRY(bulla_sys_read_file(path, &info->memory));
	BULLA_TRY(read_public(info));
	snprintf(path, sizeof(path), "%s/broker/admin.json", state);
	BULLA_TRY(bulla_sys_read_file(path, &info->admin));
	return read_admin(info);
}

bulla_rc broker_info_read(const char *state, struct broker_info *ret)
{
	struct broker_info info = {.tls_spki = {NULL, 0}};
	bulla_rc rc;

	bulla_buf_init(&info.memory, FILE_MAX);
	bulla_buf_init(&info.admin, FILE_MAX);
	rc = read_both(state, &info);
	if (rc != BULLA_OK) {
		broker_info_done(&info);
		return rc;
	}
	*ret = info;
	return BULLA_OK;
}

void broker_info_done(struct broker_info *info)
{
	bulla_buf_done(&info->memory);
	bulla_buf_done(&info->admin);
}
