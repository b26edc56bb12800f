/* SPDX-License-Identifier: Apache-2.0 */
/* main() for a target without libFuzzer: gives it each file named on the command line. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/fuzz/target.h"

int
main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		FILE *f = fopen(argv[i], "re");
		uint8_t *data = NULL;
		size_t n = 0, got = 0;

		if (!f) {
			perror(argv[i]);
			return 1;
		}
		do {
			n += got;
			data = realloc(data, n + 65536);
			if (!data)
				return 1;
			got = fread(data + n, 1, 65536, f);
		} while (got > 0);
		fclose(f);
		/* Exactly as long as it is, so that a sanitizer sees the end. */
		data = realloc(data, n ? n : 1);
		LLVMFuzzerTestOneInput(data, n);
		free(data);
	}
	fprintf(stderr, "%d inputs\n", argc - 1);
	return 0;
}
