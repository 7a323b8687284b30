#pragma once
/* What most commands begin with: the project folder, its bulla.yaml, its keys, its state and sockets on this machine. */
#include "cmd/keyfile.h"
#include "cmd/say.h"
#include "manifest/manifest.h"

#define CONTEXT_PATH 1024

struct context {
	struct cli *cli;
	struct arena arena;
	char dir[CONTEXT_PATH];      /* project folder */
	char config[CONTEXT_PATH];   /* ~/.config/bulla */
	char state[CONTEXT_PATH];    /* ~/.local/state/bulla/PROJECT */
	char runtime[CONTEXT_PATH];  /* sockets */
	struct bulla_buf text;       /* bulla.yaml */
	struct project project;
	struct keyfile key;          /* of who runs the command; none until context_key */
	bulla_secret name_key;       /* of the tenant; none until context_name_key */
	struct bulla_buf manifest_bytes;
	struct bulla_manifest manifest; /* in force here; bytes.n == 0 until context_manifest */
	int supervisor;                 /* process that this command started; 0: none, or it has ended */
};

/* Finds the project (-C, BULLA_PROJECT, here or above), reads and checks bulla.yaml. Says what is wrong and returns an exit
 * code, or 0. context_done in every case. */
int context_open(struct context *context, struct cli *cli);
void context_done(struct context *context);

/* Prints these mistakes of bulla.yaml as --json or as compilers do; EXIT_USAGE, or 0 when there are none. */
int context_say(struct context *context, const struct diags *diags);

/* Your key (--key, BULLA_KEY, ~/.config/bulla/owner.key); made when it is the owner's and make is true. */
int context_key(struct context *context, bool make);

/* The tenant name key, ~/.config/bulla/PROJECT.names; made when missing and make is true. */
int context_name_key(struct context *context, bool make);

/* The manifest in force here: state/owner/manifest, written by `bulla up`. */
int context_manifest(struct context *context);

/* FOLDER/NAME into ret; too long is an error of the caller's making and gives "". */
void path_join(char ret[CONTEXT_PATH], const char *folder, const char *name);

/* Names behind handles, as far as this project knows them; "?" otherwise. */
const char *context_agent_name(const struct context *context, const bulla_handle *handle);

/* The workflow of the project whose compiled plan has this digest in the manifest; NULL when none has. */
const struct workflow *context_workflow(const struct context *context, const bulla_digest *digest);
