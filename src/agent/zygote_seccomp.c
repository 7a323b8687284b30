/* The sandbox's system call filter: classic BPF, a binary tree over runs of equal answers (the kernel tries every call
 * number at installation, so a list would cost half a millisecond per sandbox). */
#include "agent/zygote_internal.h"

#include <asm/ioctls.h>
#include <asm/unistd.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>

enum answer { REFUSE, YES, DEADLY, SOCKET, CLONE, IOCTL, ABSENT };

#define CALLS 512      /* numbers beyond are refused */
#define PROGRAM 1024   /* instructions */
#define TREE_DEPTH 10  /* 2^10 > runs */

struct program {
	struct sock_filter code[PROGRAM];
	uint16_t n;
	bool network;
	/* runs of equal answers: the i-th begins at call number start[i] */
	uint16_t start[CALLS];
	uint8_t answer[CALLS];
	uint16_t runs;
};

static void emit(struct program *program, uint16_t code, uint32_t k, uint8_t yes, uint8_t no)
{
	if (program->n < PROGRAM)
		program->code[program->n] = (struct sock_filter){code, yes, no, k};
	program->n++;
}

static void emit_return(struct program *program, uint32_t what)
{
	emit(program, BPF_RET | BPF_K, what, 0, 0);
}

static void emit_load_argument(struct program *program, unsigned i)
{
	/* both machines are little-endian: the low half comes first */
	emit(program, BPF_LD | BPF_W | BPF_ABS, (uint32_t)(offsetof(struct seccomp_data, args) + i * 8), 0, 0);
}

/* The argument is one of these: yes; otherwise EPERM. */
static void emit_one_of(struct program *program, unsigned argument, const uint32_t *values, size_t count)
{
	emit_load_argument(program, argument);
	for (size_t i = 0; i < count; i++)
		emit(program, BPF_JMP | BPF_JEQ | BPF_K, values[i], (uint8_t)(count - i), 0);
	emit_return(program, SECCOMP_RET_ERRNO | EPERM);
	emit_return(program, SECCOMP_RET_ALLOW);
}

static void emit_clone(struct program *program)
{
	const uint32_t namespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
		CLONE_NEWPID | CLONE_NEWNET;

	emit_load_argument(program, 0);
	emit(program, BPF_JMP | BPF_JSET | BPF_K, namespaces, 0, 1);
	emit_return(program, SECCOMP_RET_ERRNO | EPERM);
	emit_return(program, SECCOMP_RET_ALLOW);
}

static void emit_answer(struct program *program, uint8_t answer)
{
	static const uint32_t domains[] = {AF_UNIX, AF_INET, AF_INET6};
	static const uint32_t requests[] = {FIONREAD, FIONBIO, FIOCLEX, FIONCLEX, FIOASYNC, TCGETS, TIOCGWINSZ, TIOCGPGRP};

	if (answer == YES)
		emit_return(program, SECCOMP_RET_ALLOW);
	else if (answer == DEADLY)
		emit_return(program, SECCOMP_RET_KILL_PROCESS);
	else if (answer == ABSENT) /* libc then uses clone, whose flags can be looked at */
		emit_return(program, SECCOMP_RET_ERRNO | ENOSYS);
	else if (answer == CLONE)
		emit_clone(program);
	else if (answer == SOCKET)
		emit_one_of(program, 0, domains, program->network ? 3 : 1);
	else if (answer == IOCTL)
		emit_one_of(program, 1, requests, sizeof(requests) / sizeof(requests[0]));
	else
		emit_return(program, SECCOMP_RET_ERRNO | EPERM);
}

/* Emits the search among runs [first, last]. Depth <= TREE_DEPTH as the middle is taken. */
static void emit_tree(struct program *program, unsigned first, unsigned last, unsigned depth)
{
	unsigned middle = (first + last + 1) / 2;
	uint16_t jump;

	if (first == last || depth == 0) {
		emit_answer(program, program->answer[first]);
		return;
	}
	emit(program, BPF_JMP | BPF_JGE | BPF_K, program->start[middle], 0, 1);
	jump = program->n;
	emit(program, BPF_JMP | BPF_JA, 0, 0, 0);
	emit_tree(program, first, middle - 1, depth - 1);
	if (jump < PROGRAM)
		program->code[jump].k = (uint32_t)(program->n - jump - 1);
	emit_tree(program, middle, last, depth - 1);
}

static void find_runs(struct program *program)
{
	static const uint8_t answers[CALLS] = {
#define ALLOW(name) [__NR_##name] = YES,
#define KILL(name) [__NR_##name] = DEADLY,
#define CHECK(name, block) [__NR_##name] = block,
#include "agent/syscalls.def"
#include BULLA_SYSCALLS_MACHINE
#undef ALLOW
#undef KILL
#undef CHECK
	};

	for (unsigned i = 0; i < CALLS; i++) {
		if (i > 0 && answers[i] == answers[i - 1])
			continue;
		program->start[program->runs] = (uint16_t)i;
		program->answer[program->runs++] = answers[i];
	}
	if (answers[CALLS - 1] != REFUSE && program->runs < CALLS) {
		program->start[program->runs] = CALLS;
		program->answer[program->runs++] = REFUSE;
	}
}

bulla_rc bulla_seccomp_install(bool network)
{
	struct program program = {.network = network};
	struct sock_fprog form = {.filter = program.code};

	find_runs(&program);
	emit(&program, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch), 0, 0);
	emit(&program, BPF_JMP | BPF_JEQ | BPF_K, BULLA_SYSCALLS_AUDIT, 1, 0);
	emit_return(&program, SECCOMP_RET_KILL_PROCESS);
	emit(&program, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
	emit_tree(&program, 0, program.runs - 1u, TREE_DEPTH);
	if (program.n > PROGRAM)
		return BULLA_FAIL(BULLA_E_LIMIT, "the system call filter is too long");
	form.len = program.n;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &form) != 0)
		return BULLA_FAIL_OS(BULLA_E_UNSUPPORTED, "seccomp is not there", errno);
	return BULLA_OK;
}
