#include "verify/trust.h"

#include "attest/attest.h"
#include "crypto/hash.h"
#include "wire/text.h"

enum { SPKI_MAX = 256, WORDS_MAX = 5 };

/* By enum bulla_anchor_how. A shared secret is in no file that is handed on. */
static const char *const anchor_words[] = {NULL, "anchor", "anchor-key", "anchor-device"};

/* A line's words, apart by single spaces. */
struct line {
	bulla_bytes words[WORDS_MAX];
	size_t count;
};

static bulla_bytes cut(bulla_bytes *text, char end)
{
	size_t i = 0;
	bulla_bytes part;

	while (i < text->n && text->p[i] != end)
		i++;
	part = bulla_bytes_of(text->p, i);
	i += i < text->n;
	*text = bulla_bytes_of(text->p + i, text->n - i);
	return part;
}

static bulla_rc split(bulla_bytes text, struct line *ret)
{
	ret->count = 0;
	while (text.n > 0) {
		if (ret->count == WORDS_MAX)
			return BULLA_FAIL(BULLA_E_FORMAT, "a line of a trust file has too many words");
		ret->words[ret->count++] = cut(&text, ' ');
	}
	return BULLA_OK;
}

static bulla_rc read_tenant(const struct line *line, struct bulla_trust *trust)
{
	if (trust->has_tenant)
		return BULLA_FAIL(BULLA_E_DUPLICATE, "a trust file names two tenants");
	trust->has_tenant = true;
	return bulla_text_hex(line->words[1], sizeof(trust->tenant.b), trust->tenant.b);
}

static bulla_rc read_approver(const struct line *line, struct bulla_trust *trust)
{
	struct bulla_trust_approver approver = {.name = line->words[1]};
	uint8_t spki[SPKI_MAX];
	size_t size;

	if (trust->approver_count == BULLA_TRUST_APPROVERS)
		return BULLA_FAIL(BULLA_E_LIMIT, "a trust file names too many approvers");
	BULLA_TRY(bulla_text_base64url(line->words[2], sizeof(spki), spki, &size));
	bulla_sha256(bulla_bytes_of(spki, size), &approver.kid);
	if (bulla_trust_has(trust, &approver.kid))
		return BULLA_FAIL(BULLA_E_DUPLICATE, "a trust file names an approver twice");
	trust->approvers[trust->approver_count++] = approver;
	return BULLA_OK;
}

static bulla_rc read_class(const struct line *line, struct bulla_trust_anchor *ret)
{
	static const char *const classes[] = {"dev", "emulator", "hardware"};

	ret->tee = (uint8_t)bulla_tee_from_name(line->words[1]);
	for (unsigned i = 0; i < 3; i++)
		if (bulla_bytes_eq_str(line->words[2], classes[i]))
			ret->assurance = (uint8_t)(BULLA_ASSURANCE_DEV + i);
	if (ret->tee == BULLA_TEE_NONE || ret->assurance == BULLA_ASSURANCE_NONE)
		return BULLA_FAIL(BULLA_E_FORMAT, "a trust file names an unknown TEE or class");
	return BULLA_OK;
}

/* The word says how it is known: anchor_words. */
static bulla_rc read_anchor(const struct line *line, struct bulla_trust *trust)
{
	struct bulla_trust_anchor anchor = {.how = BULLA_ANCHOR_CERTIFICATE, .id_size = sizeof(bulla_digest)};

	if (trust->anchor_count == BULLA_TRUST_ANCHORS)
		return BULLA_FAIL(BULLA_E_LIMIT, "a trust file names too many anchors");
	BULLA_TRY(read_class(line, &anchor));
	if (bulla_bytes_eq_str(line->words[0], anchor_words[BULLA_ANCHOR_KEY]))
		anchor.how = BULLA_ANCHOR_KEY;
	if (line->count == WORDS_MAX) {
		anchor.how = BULLA_ANCHOR_DEVICE;
		anchor.id_size = BULLA_TRUST_ID;
		BULLA_TRY(bulla_text_base64url(line->words[4], sizeof(anchor.key), anchor.key, &anchor.key_size));
	}
	BULLA_TRY(bulla_text_hex(line->words[3], anchor.id_size, anchor.id));
	trust->anchors[trust->anchor_count++] = anchor;
	return BULLA_OK;
}

static bulla_rc read_need(const struct line *line, struct bulla_trust *trust)
{
	uint64_t need;

	BULLA_TRY(bulla_text_uint(line->words[1], BULLA_TRUST_APPROVERS, &need));
	if (need == 0)
		return BULLA_FAIL(BULLA_E_FORMAT, "a trust file needs no approver");
	trust->need = (uint32_t)need;
	return BULLA_OK;
}

static bulla_rc read_epoch(const struct line *line, struct bulla_trust *trust)
{
	return bulla_text_uint(line->words[1], INT64_MAX, &trust->epoch);
}

static const struct {
	const char *word;
	size_t words;
	bulla_rc (*read)(const struct line *line, struct bulla_trust *trust);
} kinds[] = {
	{"tenant", 2, read_tenant}, {"approver", 3, read_approver}, {"need", 2, read_need},
	{"anchor", 4, read_anchor}, {"anchor-key", 4, read_anchor}, {"anchor-device", 5, read_anchor},
	{"epoch", 2, read_epoch},
};

static bulla_rc read_line(bulla_bytes text, struct bulla_trust *trust)
{
	struct line line;

	if (text.n == 0 || text.p[0] == '#')
		return BULLA_OK;
	BULLA_TRY(split(text, &line));
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (line.count == kinds[i].words && bulla_bytes_eq_str(line.words[0], kinds[i].word))
			return kinds[i].read(&line, trust);
	return BULLA_FAIL(BULLA_E_FORMAT, "a trust file has a line that says nothing known");
}

bulla_rc bulla_trust_parse(bulla_bytes text, struct bulla_trust *ret, unsigned *ret_line)
{
	unsigned ignored, *line = ret_line != NULL ? ret_line : &ignored;

	*ret = (struct bulla_trust){.need = 1};
	*line = 1;
	if (text.n > BULLA_TRUST_MAX)
		return BULLA_FAIL(BULLA_E_LIMIT, "a trust file is too large");
	if (!bulla_bytes_eq_str(cut(&text, '\n'), "bulla-trust 1"))
		return BULLA_FAIL(BULLA_E_VERSION, "this is no trust file of a known version");
	while (text.n > 0) {
		++*line;
		BULLA_TRY(read_line(cut(&text, '\n'), ret));
	}
	return BULLA_OK;
}

static void write_anchor(const struct bulla_anchor *anchor, bulla_wr *w)
{
	if (anchor->how == 0 || anchor->how > BULLA_ANCHOR_DEVICE)
		return;
	bulla_text_wr(w, "\n");
	bulla_text_wr(w, anchor_words[anchor->how]);
	bulla_text_wr(w, " ");
	bulla_wr_bytes(w, anchor->tee);
	bulla_text_wr(w, " ");
	bulla_text_wr(w, bulla_assurance_name(anchor->assurance));
	bulla_text_wr(w, " ");
	bulla_text_wr_hex(w, anchor->id);
	if (anchor->how != BULLA_ANCHOR_DEVICE)
		return;
	bulla_text_wr(w, " ");
	bulla_text_wr_base64url(w, anchor->key);
}

bulla_rc bulla_trust_write(const struct bulla_manifest *manifest, const bulla_bytes *names, bulla_wr *w)
{
	bulla_text_wr(w, "bulla-trust 1\ntenant ");
	bulla_text_wr_hex(w, bulla_handle_view(&manifest->tenant));
	for (size_t i = 0; i < manifest->approver_count; i++) {
		bulla_bytes name = names != NULL ? names[i] : manifest->approvers[i].name;

		bulla_text_wr(w, "\napprover ");
		bulla_wr_bytes(w, name.n > 0 ? name : BULLA_BYTES_LITERAL("-"));
		bulla_text_wr(w, " ");
		bulla_text_wr_base64url(w, manifest->approvers[i].spki);
	}
	bulla_text_wr(w, "\nneed ");
	bulla_text_wr_uint(w, manifest->need);
	for (size_t i = 0; i < manifest->anchor_count; i++)
		write_anchor(&manifest->anchors[i], w);
	bulla_text_wr(w, "\n");
	return w->rc;
}

void bulla_trust_of(const struct bulla_manifest *manifest, struct bulla_trust *ret)
{
	*ret = (struct bulla_trust){.has_tenant = true, .tenant = manifest->tenant, .need = manifest->need};
	for (size_t i = 0; i < manifest->approver_count && i < BULLA_TRUST_APPROVERS; i++)
		ret->approvers[ret->approver_count++] =
			(struct bulla_trust_approver){.name = manifest->approvers[i].name, .kid = manifest->approvers[i].kid};
	for (size_t i = 0; i < manifest->anchor_count && ret->anchor_count < BULLA_TRUST_ANCHORS; i++) {
		const struct bulla_anchor *from = &manifest->anchors[i];
		struct bulla_trust_anchor *to = &ret->anchors[ret->anchor_count];

		if (from->how > BULLA_ANCHOR_DEVICE || from->id.n > sizeof(to->id) || from->key.n > sizeof(to->key))
			continue;
		*to = (struct bulla_trust_anchor){.tee = (uint8_t)bulla_tee_from_name(from->tee), .assurance = from->assurance,
			.how = from->how, .id_size = from->id.n, .key_size = from->key.n};
		bulla_copy(to->id, from->id.p, from->id.n);
		bulla_copy(to->key, from->key.p, from->key.n);
		ret->anchor_count++;
	}
}

bool bulla_trust_has(const struct bulla_trust *trust, const bulla_digest *kid)
{
	for (size_t i = 0; i < trust->approver_count; i++)
		if (bulla_digest_eq(&trust->approvers[i].kid, kid))
			return true;
	return false;
}
