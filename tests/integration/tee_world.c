/* tee_world KIND ROOT OUT MANIFEST KEY: a machine of another TEE behind the fake tree ROOT (hardware.h), and the project's next
 * epoch, which accepts that machine alone. Writes MANIFEST anew with its approval beside it (by the owner's key file KEY), and
 * to OUT/put what is sent to broker and engine. Prints `ready TEE MEASUREMENT` and serves until standard input ends. */
#include "hardware.h"

#include "base/mem.h"
#include "io/sys.h"
#include "manifest/approvals.h"
#include "test.h"
#include "wire/cbor.h"
#include "wire/messages.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct hardware machine;

static void read_key(const char *path, struct bulla_sign_key **ret)
{
	BULLA_AUTO_BUF bytes;
	bulla_bytes pkcs8;

	bulla_buf_init(&bytes, 4096);
	assert_ok(bulla_sys_read_file(path, &bytes));
	bulla_cbor_rd r = bulla_cbor_rd_of(bulla_buf_view(&bytes));
	assert_ok(bulla_cbor_rd_expect_array(&r, 3));
	assert_ok(bulla_cbor_rd_expect_int(&r, 1));
	assert_ok(bulla_cbor_rd_bytes(&r, &pkcs8));
	assert_ok(bulla_sign_key_import(pkcs8, ret));
}

/* The same project; only who may run it is another one. */
static void change(const char *path, struct bulla_buf *ret)
{
	static uint8_t lists[512];
	bulla_bytes tee = bulla_bytes_str(machine.tee);
	bulla_wr l = bulla_wr_fixed(lists, sizeof(lists));
	struct bulla_image image = {.tee = tee, .count = 1};
	struct bulla_anchor anchor = {.tee = bulla_bytes_str(bulla_tee_name((enum bulla_tee)machine.anchor.tee)),
		.assurance = BULLA_ASSURANCE_EMULATOR, .how = machine.anchor.how, .id = machine.anchor.id, .key = machine.anchor.key};
	struct bulla_manifest manifest;
	BULLA_AUTO_BUF bytes;

	bulla_buf_init(&bytes, BULLA_MAX_MANIFEST);
	assert_ok(bulla_sys_read_file(path, &bytes));
	assert_ok(bulla_manifest_decode(bulla_buf_view(&bytes), &manifest));
	image.values[0] = (struct bulla_image_value){
		BULLA_BYTES_LITERAL("measurement"), 0, bulla_bytes_of(machine.measurement, machine.measurement_size)};
	bulla_images_write(&l, &image, 1);
	for (size_t i = 0; i < manifest.agent_count; i++)
		manifest.agents[i].images = bulla_bytes_of(lists, l.n);
	size_t at = l.n;
	bulla_list_write_text(&l, &tee, 1);
	manifest.tees = bulla_bytes_of(lists + at, l.n - at);
	bulla_free(manifest.anchors);
	manifest.anchors = &anchor;
	manifest.anchor_count = 1;
	manifest.assurance = BULLA_ASSURANCE_EMULATOR;
	manifest.epoch++;
	bulla_wr w = bulla_wr_buf(ret);
	assert_ok(bulla_manifest_encode(&manifest, &w));
}

static void write_all(const char *path, const char *key_path)
{
	struct bulla_sign_key *key = NULL;
	struct bulla_manifest manifest;
	BULLA_AUTO_BUF bytes, approval, put;
	char name[1024];

	bulla_buf_init(&bytes, BULLA_MAX_MANIFEST);
	bulla_buf_init(&approval, BULLA_APPROVAL_MAX);
	bulla_buf_init(&put, BULLA_MAX_MANIFEST + 65536);
	read_key(key_path, &key);
	change(path, &bytes);
	assert_ok(bulla_manifest_decode(bulla_buf_view(&bytes), &manifest));
	assert_ok(bulla_approval_make(&manifest, key, &approval));
	const bulla_bytes approvals[1] = {bulla_buf_view(&approval)};
	const struct bulla_msg_put_manifest message = {
		.manifest = bulla_buf_view(&bytes), .approvals = bulla_pb_list_of(approvals, 1)};
	bulla_wr w = bulla_wr_buf(&put);
	bulla_msg_put_manifest_encode(&message, &w);
	assert_ok(w.rc);
	assert_ok(bulla_sys_write_file(path, bulla_buf_view(&bytes), 0600));
	(void)snprintf(name, sizeof(name), "%.*sapproval", (int)(strrchr(path, '/') + 1 - path), path);
	assert_ok(bulla_sys_write_file(name, bulla_buf_view(&approval), 0600));
	(void)snprintf(name, sizeof(name), "%s/put", machine.out);
	assert_ok(bulla_sys_write_file(name, bulla_buf_view(&put), 0600));
	bulla_sign_key_free(key);
}

int main(int argc, char **argv)
{
	struct pollfd input = {STDIN_FILENO, POLLIN, 0};

	if (argc != 6 || bulla_secret_slab_init(64) != BULLA_OK)
		return 2;
	machine = (struct hardware){.kind = argv[1], .root = argv[2], .out = argv[3]};
	hardware_open(&machine);
	write_all(argv[4], argv[5]);
	printf("ready %s ", machine.tee);
	for (size_t i = 0; i < machine.measurement_size; i++)
		printf("%02x", machine.measurement[i]);
	printf("\n");
	fflush(stdout);
	while (poll(&input, 1, 0) == 0)
		hardware_serve(&machine, 20);
	return 0;
}
