#include "wire/json.h"
#include "wire/text.h"

/* The escape of a character (RFC 8785 section 3.2.2.2): its letter, 'u' for the long form, 0 for none. */
static uint8_t escape_of(uint8_t c)
{
	static const uint8_t letters[32] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};

	if (c == '"' || c == '\\')
		return c;
	if (c >= 0x20)
		return 0;
	return letters[c] != 0 ? letters[c] : 'u';
}

static void write_escape(bulla_wr *w, uint8_t c, uint8_t escape)
{
	bulla_wr_u8(w, '\\');
	bulla_wr_u8(w, escape);
	if (escape == 'u') {
		bulla_text_wr(w, "00");
		bulla_text_wr_hex(w, (bulla_bytes){&c, 1});
	}
}

void bulla_json_quote(bulla_wr *w, bulla_bytes text)
{
	size_t begin = 0;

	if (!bulla_text_is_utf8(text))
		bulla_wr_fail(w, BULLA_FAIL(BULLA_E_FORMAT, "text for JSON is not UTF-8"));
	bulla_wr_u8(w, '"');
	for (size_t i = 0; i < text.n; i++) {
		uint8_t escape = escape_of(text.p[i]);

		if (escape == 0)
			continue;
		bulla_wr_bytes(w, bulla_bytes_of(text.p + begin, i - begin));
		write_escape(w, text.p[i], escape);
		begin = i + 1;
	}
	bulla_wr_bytes(w, bulla_bytes_of(text.n > 0 ? text.p + begin : NULL, text.n - begin));
	bulla_wr_u8(w, '"');
}

/* A comma, unless the level is empty. */
static void separate(bulla_json_wr *j)
{
	uint64_t level = UINT64_C(1) << j->depth;

	if (j->used & level)
		bulla_wr_u8(j->w, ',');
	j->used |= level;
}

static void open(bulla_json_wr *j, uint8_t c)
{
	separate(j);
	bulla_wr_u8(j->w, c);
	if (j->depth == BULLA_MAX_JSON_DEPTH - 1) {
		bulla_wr_fail(j->w, BULLA_FAIL(BULLA_E_LIMIT, "JSON is written too deeply nested"));
		return;
	}
	j->depth++;
	j->used &= ~(UINT64_C(1) << j->depth);
}

static void shut(bulla_json_wr *j, uint8_t c)
{
	bulla_wr_u8(j->w, c);
	if (j->depth > 0)
		j->depth--;
}

void bulla_json_wr_object(bulla_json_wr *j)
{
	open(j, '{');
}

void bulla_json_wr_object_end(bulla_json_wr *j)
{
	shut(j, '}');
}

void bulla_json_wr_array(bulla_json_wr *j)
{
	open(j, '[');
}

void bulla_json_wr_array_end(bulla_json_wr *j)
{
	shut(j, ']');
}

void bulla_json_wr_name(bulla_json_wr *j, const char *name)
{
	separate(j);
	bulla_json_quote(j->w, bulla_bytes_str(name));
	bulla_wr_u8(j->w, ':');
	j->used &= ~(UINT64_C(1) << j->depth); /* no comma before the value */
}

void bulla_json_wr_string(bulla_json_wr *j, bulla_bytes text)
{
	separate(j);
	bulla_json_quote(j->w, text);
}

void bulla_json_wr_str(bulla_json_wr *j, const char *text)
{
	bulla_json_wr_string(j, bulla_bytes_str(text));
}

void bulla_json_wr_base64(bulla_json_wr *j, bulla_bytes bytes)
{
	separate(j);
	bulla_wr_u8(j->w, '"');
	bulla_text_wr_base64(j->w, bytes);
	bulla_wr_u8(j->w, '"');
}

void bulla_json_wr_hex(bulla_json_wr *j, bulla_bytes bytes)
{
	separate(j);
	bulla_wr_u8(j->w, '"');
	bulla_text_wr_hex(j->w, bytes);
	bulla_wr_u8(j->w, '"');
}

void bulla_json_wr_int(bulla_json_wr *j, int64_t value)
{
	separate(j);
	bulla_text_wr_int(j->w, value);
}

void bulla_json_wr_bool(bulla_json_wr *j, bool value)
{
	separate(j);
	bulla_text_wr(j->w, value ? "true" : "false");
}

void bulla_json_wr_null(bulla_json_wr *j)
{
	separate(j);
	bulla_text_wr(j->w, "null");
}

void bulla_json_wr_raw(bulla_json_wr *j, bulla_json value)
{
	separate(j);
	bulla_wr_bytes(j->w, value.raw);
}
