#pragma once
/* Small files of the kernel below a root folder. */
#include "base/buf.h"

/* root + path in ret; BULLA_E_LIMIT. */
BULLA_CHECK bulla_rc bulla_evidence_path(const char *root, const char *path, char *ret, size_t size);

/* Whether root + path is there. */
bool bulla_evidence_exists(const char *root, const char *path);

/* The whole file, up to the buffer's maximum, after clearing the buffer. BULLA_E_BUSY on EBUSY and EAGAIN (try again),
 * BULLA_E_NOT_FOUND, BULLA_E_IO. */
BULLA_CHECK bulla_rc bulla_evidence_read(const char *root, const char *path, struct bulla_buf *ret);

/* One write of all bytes, as attributes want it. */
BULLA_CHECK bulla_rc bulla_evidence_write(const char *root, const char *path, bulla_bytes bytes);
