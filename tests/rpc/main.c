/* SPDX-License-Identifier: Apache-2.0 */
/* The rpc suite: one agent, all tests, TAP on stdout. See harness.h; started by tests/rpc/run. */
#include <signal.h>

#include "lib/cleanup.h"
#include "tests/rpc/harness.h"

int
main(void)
{
	static const struct {
		const struct test *tests;
		const size_t *n;
	} suites[] = {
		{ tests_errors, &n_tests_errors },         { tests_lifecycle, &n_tests_lifecycle },
		{ tests_stdio, &n_tests_stdio },           { tests_wire, &n_tests_wire },
		{ tests_interfaces, &n_tests_interfaces }, { tests_network, &n_tests_network },
		{ tests_files, &n_tests_files },           { tests_full, &n_tests_full },
		{ tests_attack, &n_tests_attack },         { tests_many, &n_tests_many },
		{ tests_guest, &n_tests_guest },           { tests_storm, &n_tests_storm },
		{ tests_state, &n_tests_state },           { tests_cancel, &n_tests_cancel },
	};
	struct harness h = { 0 };
	unsigned int failed = 0;

	(void)signal(SIGPIPE, SIG_IGN);
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	harness_start(&h);
	for (size_t i = 0; i < ARRAY_LEN(suites); i++)
		failed += harness_run(&h, suites[i].tests, *suites[i].n);
	failed += harness_stop(&h);
	printf("1..%u\n", h.n_run);
	return failed != 0;
}
