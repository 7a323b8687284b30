/* Makes attestation documents under a project's development root, good ones and broken ones, and opens what is answered to
 * them. One request per line on stdin, one answer per line on stdout:
 *
 *   doc WORD=VALUE...     base64 of a document. pcrN=HEX, age=SECONDS, root=other, key=none|small, flip=1 (a bit of the
 *                         signature), debug=1 (PCR0 to 2 zero), nitrotpm=1, nonce=HEX (32 bytes)
 *   open BASE64           hex of what a CiphertextForRecipient holds; `error NAME`
 */
#include "cose/nitro_doc.h"
#include "crypto/cms.h"
#include "crypto/random.h"
#include "crypto/rsa.h"
#include "io/sys.h"
#include "platform/pki.h"
#include "wire/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_ 65536

static struct bulla_rsa_key *rsa;
static int64_t offset_ms;

static int64_t wall(void *ctx)
{
	(void)ctx;
	return bulla_wall_ms(bulla_sys_clock()) + offset_ms;
}

static int64_t mono(void *ctx)
{
	(void)ctx;
	return bulla_mono_us(bulla_sys_clock());
}

static const struct bulla_clock shifted = {.wall_ms = wall, .mono_us = mono};

struct wanted {
	uint8_t pcrs[BULLA_NITRO_PCRS][BULLA_NITRO_PCR_SIZE];
	uint8_t nonce[32];
	bool has_nonce;
	bool other_root, no_key, small_key, flip;
};

static bulla_rc read_word(const char *word, struct wanted *ret)
{
	unsigned index = 0;
	int used = 0;

	if (sscanf(word, "pcr%u=%n", &index, &used) == 1 && used > 0 && index < BULLA_NITRO_PCRS)
		return bulla_text_hex(bulla_bytes_str(word + used), BULLA_NITRO_PCR_SIZE, ret->pcrs[index]);
	if (strncmp(word, "nonce=", 6) == 0) {
		ret->has_nonce = true;
		return bulla_text_hex(bulla_bytes_str(word + 6), sizeof(ret->nonce), ret->nonce);
	}
	if (strncmp(word, "age=", 4) == 0)
		offset_ms = -1000 * atoll(word + 4);
	ret->other_root = ret->other_root || strcmp(word, "root=other") == 0;
	ret->no_key = ret->no_key || strcmp(word, "key=none") == 0;
	ret->small_key = ret->small_key || strcmp(word, "key=small") == 0;
	ret->flip = ret->flip || strcmp(word, "flip=1") == 0;
	return BULLA_OK;
}

static bulla_rc make(const struct bulla_dev_pki *pki, const struct wanted *wanted, struct bulla_buf *ret)
{
	static const char module_id[] = "i-00000000000000001-enc0000000000000001";
	const struct bulla_random *random = bulla_random_os();
	struct bulla_dev_chain chain = {.leaf = NULL};
	struct bulla_nitro_doc doc = {.module_id = bulla_bytes_str(module_id), .cabundle_count = 2};
	bulla_rc rc;

	BULLA_TRY(bulla_dev_chain_make(pki, module_id, &shifted, random, &chain));
	const bulla_bytes cabundle[2] = {bulla_buf_view(&pki->root_der), bulla_buf_view(&chain.instance_der)};
	doc.timestamp_ms = (uint64_t)bulla_wall_ms(&shifted);
	doc.pcrs = (const uint8_t(*)[BULLA_NITRO_PCR_SIZE])wanted->pcrs;
	doc.listed = 0x3011f;
	doc.nonce = bulla_bytes_of(wanted->nonce, wanted->has_nonce ? sizeof(wanted->nonce) : 0);
	doc.certificate = bulla_buf_view(&chain.leaf_der);
	doc.cabundle = cabundle;
	doc.public_key = wanted->no_key ? (bulla_bytes){NULL, 0}
		: wanted->small_key         ? bulla_sign_key_spki(chain.leaf)
									: bulla_rsa_key_spki(rsa);
	rc = bulla_nitro_doc_write(&doc, chain.leaf, ret);
	bulla_dev_chain_done(&chain);
	if (rc == BULLA_OK && wanted->flip)
		ret->p[ret->n - 1] ^= 1;
	return rc;
}

static bulla_rc answer_doc(const char *folder, char *words)
{
	struct bulla_dev_pki pki = {.root = NULL};
	struct wanted wanted = {.flip = false};
	char other[4096];
	BULLA_AUTO_BUF doc, text;
	bulla_bytes view;
	bulla_rc rc;

	bulla_buf_init(&doc, BULLA_NITRO_DOC_MAX);
	bulla_buf_init(&text, LINE_MAX_);
	offset_ms = 0;
	for (char *word = strtok_r(words, " \n", &words); word != NULL; word = strtok_r(NULL, " \n", &words))
		BULLA_TRY(read_word(word, &wanted));
	snprintf(other, sizeof(other), "%s%s", folder, wanted.other_root ? "/other-root" : "");
	BULLA_TRY(bulla_sys_make_folders(other));
	BULLA_TRY(bulla_dev_pki_open(other, bulla_sys_clock(), bulla_random_os(), &pki));
	rc = make(&pki, &wanted, &doc);
	bulla_dev_pki_done(&pki);
	BULLA_TRY(rc);
	bulla_wr w = bulla_wr_buf(&text);
	bulla_text_wr_base64(&w, bulla_buf_view(&doc));
	BULLA_TRY(bulla_wr_end(&w, &view));
	printf("%.*s\n", (int)view.n, (const char *)view.p);
	return BULLA_OK;
}

static bulla_rc answer_open(const char *base64)
{
	static uint8_t message[BULLA_CMS_MAX];
	size_t size = 0;
	BULLA_AUTO_BUF plain;

	bulla_buf_init(&plain, BULLA_CMS_MAX);
	BULLA_TRY(bulla_text_base64(bulla_bytes_of(base64, strcspn(base64, "\n")), sizeof(message), message, &size));
	BULLA_TRY(bulla_cms_open(rsa, bulla_bytes_of(message, size), &plain));
	for (size_t i = 0; i < plain.n; i++)
		printf("%02x", plain.p[i]);
	printf("\n");
	return BULLA_OK;
}

int main(int argc, char **argv)
{
	static char line[LINE_MAX_];

	if (argc != 2 || bulla_secret_slab_init(64) != BULLA_OK || bulla_rsa_key_new(&rsa) != BULLA_OK)
		return 2;
	while (fgets(line, sizeof(line), stdin) != NULL) {
		bulla_rc rc = BULLA_E_ARGUMENT;

		if (strncmp(line, "doc", 3) == 0)
			rc = answer_doc(argv[1], line + 3);
		else if (strncmp(line, "open ", 5) == 0)
			rc = answer_open(line + 5);
		if (rc != BULLA_OK)
			printf("error %s\n", bulla_rc_id(rc));
		fflush(stdout);
	}
	bulla_rsa_key_free(rsa);
	return 0;
}
