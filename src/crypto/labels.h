#pragma once
/* The labels of bulla_kdf, all in labels.def. */
enum bulla_label {
#define BULLA_LABEL(name, text) BULLA_LABEL_##name,
#include "crypto/labels.def"
#undef BULLA_LABEL
	BULLA_LABEL_COUNT
};

/* The text, without the prefix "bulla/1 ". A static string. */
const char *bulla_label_text(enum bulla_label label);
