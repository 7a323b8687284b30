#include "tee/source.h"

#include "tee/evidence_files.h"

#include <errno.h>
#include <fcntl.h>

bulla_rc bulla_source_open(const struct bulla_source_ops *ops, const char *root, const char *given, struct bulla_source *ret)
{
	struct bulla_source source = {.ops = ops, .root = root, .given = given};

	BULLA_TRY(ops->open(&source));
	*ret = source;
	return BULLA_OK;
}

bulla_rc bulla_source_device(const char *root, const char *path, int *ret)
{
	char name[BULLA_EVIDENCE_PATH];

	BULLA_TRY(bulla_evidence_path(root, path, name, sizeof(name)));
	*ret = open(name, O_RDWR | O_CLOEXEC | O_NOCTTY);
	return *ret >= 0 ? BULLA_OK : BULLA_FAIL_OS(BULLA_E_IO, "a device of the TEE cannot be opened", errno);
}

bulla_bytes bulla_source_word(const struct bulla_source *source)
{
	return bulla_bytes_str(bulla_tee_name(source->tee));
}

bulla_rc bulla_source_make(const struct bulla_source *source, const uint8_t binder[BULLA_EVIDENCE_BINDER],
	bulla_bytes nonce, bulla_bytes public_key, struct bulla_evidence *ret)
{
	if (public_key.n > 0 && !source->ops->carries_key)
		return BULLA_FAIL(BULLA_E_UNSUPPORTED, "this TEE's evidence has no place for a public key");
	bulla_buf_clear(&ret->report);
	bulla_buf_clear(&ret->aux);
	return source->ops->make(source, binder, nonce, public_key, ret);
}
